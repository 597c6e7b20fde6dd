/** A video that loops, and what can be done with it. */

import { fileNameOf, titleOf, type VideoRecord } from "../../making/videos";
import { sendVideo } from "../desk";
import { describeProblem } from "../problems";
import * as state from "../state";
import { t } from "../words";
import { Icon } from "./icons";
import { useBlobUrl } from "./picture";

export function Player({ record }: { record: VideoRecord }) {
  const url = useBlobUrl(record.video);
  const poster = useBlobUrl(record.poster);
  const label = t("video_label", { title: titleOf(record) });
  if (!url) return null;
  if (record.mime === "image/webp") return <img class="video" src={url} alt={label} />;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  return (
    <video
      class="video"
      src={url}
      poster={poster ?? ""}
      aria-label={label}
      autoplay={!still}
      controls={still}
      loop
      muted
      playsInline
    />
  );
}

export function VideoActions({ record }: { record: VideoRecord }) {
  const url = useBlobUrl(record.video);
  const file = new File([record.video], fileNameOf(record), { type: record.mime });
  const canShare = typeof navigator.canShare === "function" && navigator.canShare({ files: [file] });
  return (
    <div class="row">
      <a class="button" href={url ?? ""} download={file.name}>
        <Icon name="save" />
        {t("video_save")}
      </a>
      {canShare && (
        <button type="button" onClick={() => void share(file)}>
          <Icon name="share" />
          {t("video_share")}
        </button>
      )}
      {state.pairing.value && (
        <button
          type="button"
          disabled={record.sent || state.activity.value !== null}
          onClick={() => void sendVideo(record)}
        >
          <Icon name={record.sent ? "check" : "send"} />
          {t(record.sent ? "video_sent" : "video_send")}
        </button>
      )}
    </div>
  );
}

async function share(file: File): Promise<void> {
  try {
    await navigator.share({ files: [file] });
  } catch (error) {
    // A share sheet that a person closed is no problem.
    if (error instanceof DOMException && error.name === "AbortError") return;
    state.notice.value = { tone: "bad", text: describeProblem(error) };
  }
}
