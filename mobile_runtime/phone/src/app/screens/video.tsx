/** One video: looping, with what made it, and what can be done with it. */

import { useState } from "preact/hooks";
import type { InputValue } from "../../engine";
import type { VideoRecord } from "../../making/videos";
import { titleOf } from "../../making/videos";
import { duration, moment } from "../format";
import { back, go } from "../navigate";
import { Ask } from "../parts/ask";
import { type Fact, Facts } from "../parts/facts";
import { Icon } from "../parts/icons";
import { Player, VideoActions } from "../parts/player";
import { Progress } from "../parts/progress";
import { removeVideo } from "../shelf";
import * as state from "../state";
import { t } from "../words";
import { Bar, drafts } from "./workflow";

export function VideoScreen({ id }: { id: string }) {
  const record = state.videos.value.find((video) => video.id === id);
  if (record) return <Video record={record} />;
  return (
    <main>
      <Bar title="" />
      <div class="empty">
        <p>{t("video_missing")}</p>
      </div>
    </main>
  );
}

function Video({ record }: { record: VideoRecord }) {
  const [asking, setAsking] = useState(false);
  const workflow = state.workflows.value.find((one) => one.bundleId === record.bundleId);
  const activity = state.activity.value;
  return (
    <div class="screen">
      <main>
        <Bar title={titleOf(record)}>
          <button type="button" class="round" aria-label={t("remove")} onClick={() => setAsking(true)}>
            <Icon name="trash" />
          </button>
        </Bar>
        <div class="stage">
          <Player record={record} />
        </div>
        <section class="card" aria-labelledby="made-with">
          <h2 id="made-with">{t("video_settings")}</h2>
          <Facts facts={facts(record, workflow?.manifest.inputs ?? {})} />
          <p class="faint">
            {t("video_made", { when: moment(record.made), time: duration(record.seconds) })}
          </p>
          {workflow && (
            <button
              type="button"
              class="quiet"
              onClick={() => {
                drafts.set(record.bundleId, reusable(record));
                go({ page: "workflow", id: record.bundleId });
              }}
            >
              <Icon name="reset" />
              {t("video_reuse")}
            </button>
          )}
        </section>
      </main>
      <footer class="actions">
        {activity?.kind === "send" ? <Progress activity={activity} /> : <VideoActions record={record} />}
      </footer>
      {asking && (
        <Ask
          title={t("video_delete")}
          hint={t("video_delete_hint")}
          yes={t("remove")}
          onYes={() => {
            back();
            void removeVideo(record.id);
          }}
          onClose={() => setAsking(false)}
        />
      )}
    </div>
  );
}

const PHOTO = /^sha256:[0-9a-f]{64}$/;

function facts(
  record: VideoRecord,
  inputs: Readonly<Record<string, { label?: string; type: string }>>,
): Fact[] {
  const told = Object.entries(record.values).filter(([, value]) => value !== "");
  const made = told.map(([name, value]) => ({
    name: inputs[name]?.label ?? (inputs[name]?.type === "seed" ? t("form_seed") : name),
    value: PHOTO.test(String(value)) ? t("video_photo") : String(value),
  }));
  return [{ name: t("video_workflow"), value: record.workflow }, ...made];
}

/** The settings of a video as a draft; a photo is known by its digest only and stays what it is. */
function reusable(record: VideoRecord): Record<string, InputValue> {
  return Object.fromEntries(Object.entries(record.values).filter(([, value]) => !PHOTO.test(String(value))));
}
