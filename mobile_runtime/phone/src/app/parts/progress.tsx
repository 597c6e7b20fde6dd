/** What works now: a bar, the stage in words, what is left, and how to stop it. */

import { bytes, percent, timeLeft } from "../format";
import type { Activity } from "../state";
import { t } from "../words";
import { Icon } from "./icons";

export function Progress({ activity }: { activity: Activity }) {
  const { fraction, stage, title, cancel } = activity;
  const stageWords = t(`stage_${stage}`, { title });
  return (
    <section class="progress" aria-label={stageWords}>
      <div class="progress-words">
        <strong aria-live="polite">{stageWords}</strong>
        <span class="faint">{details(activity)}</span>
      </div>
      {cancel && (
        <button type="button" class="round" aria-label={t("cancel")} onClick={cancel}>
          <Icon name="close" />
        </button>
      )}
      <div
        class={fraction === null ? "bar busy" : "bar"}
        role="progressbar"
        aria-label={stageWords}
        aria-valuemin={0}
        aria-valuemax={100}
        {...(fraction === null
          ? {}
          : { "aria-valuenow": Math.round(100 * fraction), "aria-valuetext": percent(fraction) })}
      >
        <div style={{ transform: `scaleX(${fraction ?? 0.3})` }} />
      </div>
      {activity.fellBack && <p class="faint">{t("fell_back")}</p>}
    </section>
  );
}

function details(activity: Activity): string {
  if (activity.bytes) {
    return t("bytes_of", { done: bytes(activity.bytes.done), total: bytes(activity.bytes.total) });
  }
  const parts: string[] = [];
  if (activity.steps > 1) parts.push(t("step_of", { step: activity.step, steps: activity.steps }));
  if (activity.secondsLeft !== null && activity.stage === "run") parts.push(timeLeft(activity.secondsLeft));
  return parts.join(", ");
}
