/** The workflows on this phone. */

import { useEffect, useState } from "preact/hooks";
import type { Installed } from "../../storage/worker";
import { bytes } from "../format";
import { go } from "../navigate";
import { Icon } from "../parts/icons";
import { Pattern, Picture } from "../parts/picture";
import { picture } from "../shelf";
import * as state from "../state";
import { t } from "../words";

export function LibraryScreen() {
  const workflows = state.workflows.value;
  return (
    <main>
      <header class="title">
        <h1>{t("library_title")}</h1>
        <LinkChip />
      </header>
      <OfflineHint />
      {workflows.length === 0 ? (
        <div class="empty">
          <Icon name="layers" size={56} />
          <h2>{t("library_empty")}</h2>
          <p>{t("library_empty_hint")}</p>
        </div>
      ) : (
        <ul class="cards">
          {workflows.map((one) => (
            <li key={one.bundleId}>
              <WorkflowCard installed={one} />
            </li>
          ))}
        </ul>
      )}
    </main>
  );
}

function WorkflowCard({ installed }: { installed: Installed }) {
  const { bundleId, manifest } = installed;
  return (
    <button type="button" class="workflow" onClick={() => go({ page: "workflow", id: bundleId })}>
      <div class="thumb">
        <Thumbnail installed={installed} />
      </div>
      <div class="workflow-words">
        <strong>{manifest.name}</strong>
        <span class="faint">{bytes(installed.bytes)}</span>
      </div>
    </button>
  );
}

/** The newest video's picture, else the workflow's own, else a pattern. */
export function Thumbnail({ installed }: { installed: Installed }) {
  const { bundleId, manifest } = installed;
  const newest = state.videos.value.find((video) => video.bundleId === bundleId);
  const [own, setOwn] = useState<Blob | null>(null);
  const photo = Object.values(manifest.inputs).find((input) => input.type === "image");
  const path = photo?.type === "image" ? photo.default : null;
  useEffect(() => {
    if (path) void picture(bundleId, path).then(setOwn);
  }, [bundleId, path]);
  if (newest) return <Picture blob={newest.poster} alt="" />;
  if (own) return <Picture blob={own} alt="" />;
  return <Pattern seed={bundleId} name={manifest.name} />;
}

function LinkChip() {
  const line = state.pairing.value ? state.linkState.value : "none";
  const words = line === "revoked" ? "none" : line;
  return <span class={`chip ${words}`}>{t(`link_${words}`)}</span>;
}

/** Where the browser will not keep the app: what that means, and the way out. */
function OfflineHint() {
  if (state.offline.value !== "no") return null;
  return (
    <aside class="hint">
      <p>{t("offline_no")}</p>
      <a href="/trust">{t("offline_how")}</a>
    </aside>
  );
}
