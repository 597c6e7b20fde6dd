/** The frame around every screen: what must be said first, the screen, and the way to the others. */

import { go } from "./navigate";
import { Icon, type IconName } from "./parts/icons";
import { Progress } from "./parts/progress";
import { Blocked } from "./screens/blocked";
import { LibraryScreen } from "./screens/library";
import { PairScreen } from "./screens/pair";
import { PhoneScreen } from "./screens/phone";
import { VideoScreen } from "./screens/video";
import { VideosScreen } from "./screens/videos";
import { WorkflowScreen } from "./screens/workflow";
import * as state from "./state";
import { t } from "./words";

export function App() {
  const capability = state.capability.value;
  const stuck = state.stuck.value;
  if (stuck) return <Blocked title={t("stuck_title")} text={stuck.text} onAgain={stuck.again} />;
  if (!state.ready.value || !capability) {
    return (
      <div class="splash" role="status">
        <img src="/icon.svg" alt="" width="96" height="96" />
        <p>{t("starting")}</p>
      </div>
    );
  }
  if (!capability.secure) return <Blocked title={t("insecure_title")} text={t("insecure_text")} />;
  if (!capability.storage) return <Blocked title={t("no_storage_title")} text={t("no_storage_text")} />;
  if (state.elsewhere.value) return <Blocked title="PocketVideo" text={t("elsewhere")} />;
  const nothingHere = !state.pairing.value && !state.workflows.value.length && !state.videos.value.length;
  if (
    state.invitation.value ||
    nothingHere ||
    state.pairingWanted.value ||
    state.pairingStep.value.at !== "ask"
  ) {
    return (
      <div class="frame">
        <Notices />
        <PairScreen />
      </div>
    );
  }
  return (
    <div class="frame">
      <Notices />
      <Screen />
      {!("id" in state.route.value) && (
        <>
          <Elsewhere />
          <Tabs />
        </>
      )}
    </div>
  );
}

function Screen() {
  const route = state.route.value;
  switch (route.page) {
    case "library":
      return <LibraryScreen />;
    case "videos":
      return <VideosScreen />;
    case "phone":
      return <PhoneScreen />;
    case "workflow":
      return <WorkflowScreen key={route.id} id={route.id} />;
    case "video":
      return <VideoScreen key={route.id} id={route.id} />;
  }
}

/** Work that goes on while another screen is shown. */
function Elsewhere() {
  const activity = state.activity.value;
  if (!activity) return null;
  return (
    <div class="dock">
      <Progress activity={activity} />
    </div>
  );
}

const tabs: readonly { page: "library" | "videos" | "phone"; icon: IconName }[] = [
  { page: "library", icon: "layers" },
  { page: "videos", icon: "film" },
  { page: "phone", icon: "phone" },
];

function Tabs() {
  const { page } = state.route.value;
  return (
    <nav class="tabs" aria-label={t("nav")}>
      {tabs.map((tab) => (
        <button
          key={tab.page}
          type="button"
          aria-current={page === tab.page ? "page" : undefined}
          onClick={() => go({ page: tab.page })}
        >
          <Icon name={tab.icon} />
          {t(`nav_${tab.page}`)}
        </button>
      ))}
    </nav>
  );
}

function Notices() {
  const notice = state.notice.value;
  const update = state.updateWaiting.value;
  return (
    <div class="notices" role="status">
      {update && (
        <div class="notice plain">
          <p>{t("update_ready")}</p>
          <button type="button" class="quiet" onClick={() => update.postMessage("take-over")}>
            {t("update_now")}
          </button>
        </div>
      )}
      {notice && (
        <div class={`notice ${notice.tone}`}>
          <Icon name={notice.tone === "good" ? "check" : notice.tone === "bad" ? "warning" : "info"} />
          <p>{notice.text}</p>
          <button
            type="button"
            class="round"
            aria-label={t("close")}
            onClick={() => {
              state.notice.value = null;
            }}
          >
            <Icon name="close" size={20} />
          </button>
        </div>
      )}
    </div>
  );
}
