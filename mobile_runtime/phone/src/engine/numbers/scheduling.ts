/**
 * The sigmas of a plan's `schedule`: a named schedule, LTX-Video's, or a list; and the part of it that runs.
 *
 * A part is what ComfyUI's KSamplerAdvanced and SplitSigmas leave of a schedule, so that several samplers can
 * share one.
 */

import type { Schedule } from "../manifest.generated";
import { calculateSigmas, ltxv } from "./schedules";

/**
 * Falling sigmas [n + 1]; empty where no step is left to run, as ComfyUI then does nothing.
 *
 * `steps` is the schedule's number of steps, already looked up; null for a list of sigmas. Throws EngineError
 * for steps that the schedule cannot take.
 */
export function planSigmas(schedule: Schedule, steps: number | null): Float32Array {
  let sigmas = part(whole(schedule, steps), schedule.start, schedule.end, schedule.finish);
  if (schedule.until !== undefined) sigmas = cut(sigmas, Math.fround(schedule.until));
  return sigmas.length > 1 ? sigmas : new Float32Array(0);
}

/**
 * The steps from `start` up to `end` of a schedule, counted from 0; sigmas[start : end + 1].
 *
 * With `finish`, an end before the schedule's own becomes 0 ("return with leftover noise" is off).
 */
export function part(sigmas: Float32Array, start = 0, end?: number, finish = false): Float32Array {
  let kept = sigmas;
  if (end !== undefined && end < sigmas.length - 1) {
    kept = sigmas.slice(0, end + 1);
    if (finish) kept[kept.length - 1] = 0;
  }
  return kept.slice(start);
}

/** The sigmas above `until`, and then `until`: another model goes on from there. Empty where none is. */
function cut(sigmas: Float32Array, until: number): Float32Array {
  const above = sigmas.filter((sigma) => sigma > until);
  return above.length ? Float32Array.of(...above, until) : above;
}

function whole(schedule: Schedule, steps: number | null): Float32Array {
  if (schedule.name === "manual") return Float32Array.from(schedule.sigmas);
  if (steps === null) throw new TypeError("a schedule without steps");
  if (schedule.name === "ltxv")
    return ltxv(
      steps,
      schedule.tokens,
      schedule.max_shift,
      schedule.base_shift,
      schedule.stretch,
      schedule.terminal,
    );
  return calculateSigmas(schedule.name, steps, schedule.shift, {
    multiplier: schedule.multiplier,
    denoise: schedule.denoise,
    curve: schedule.curve ?? "flow",
    dropPenultimate: schedule.drop_penultimate ?? false,
  });
}
