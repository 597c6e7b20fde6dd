/** A job of the desk from start to end: fetch the bundle, test it, run it where it says so, bring the result home. */

import { concatenate } from "../bytes";
import type { SelfTestReport } from "../engine";
import { AppError } from "../errors";
import { type Desk, DeskRefused } from "../protocol/desk";
import type { Link } from "../protocol/link";
import type { Job } from "../protocol/messages";
import type { DownloadProgress, Installed } from "../storage/worker";
import type { Generated, GenerateProgress } from "./generate";
import { Reporter } from "./reporter";

const TRIES = 30;
const PAUSE = 2_000;

export interface JobParts {
  readonly desk: Desk;
  readonly link: Pick<Link, "send">;
  install(
    bundleId: string,
    onProgress: (told: DownloadProgress) => void,
    signal: AbortSignal,
  ): Promise<Installed>;
  generate(
    installed: Installed,
    values: Job["values"] | null,
    onProgress: (told: GenerateProgress) => void,
    signal: AbortSignal,
  ): Promise<Generated | null>;
  /** An error as a sentence, for the desk's user. */
  describe(error: unknown): string;
  /** The newest self-test that a bundle passed here, on the plan that ran it where one did. */
  selfTest(
    bundleId: string,
    plan: Generated["report"]["plan"] | undefined,
  ): Promise<{ readonly runtime: string; readonly components: SelfTestReport } | null>;
  /** What the phone is, for the report. */
  readonly device: Readonly<Record<string, string | number>>;
}

export interface JobProgress {
  readonly download?: DownloadProgress;
  readonly generate?: GenerateProgress;
  readonly upload?: number;
}

/** Do a job. What fails is told to the desk and raised; a cancelled job raises an AbortError and tells nothing. */
export async function doJob(
  job: Job,
  parts: JobParts,
  onProgress: (told: JobProgress) => void,
  controller: AbortController,
): Promise<Generated | null> {
  const { signal } = controller;
  const reporter = new Reporter(job.jobId, parts.desk, parts.link, () => controller.abort());
  const seconds: Record<string, number> = {};
  try {
    const installed = await timed(seconds, "fetch", () =>
      parts.install(
        job.bundleId,
        (told) => {
          onProgress({ download: told });
          reporter.tell(told.stage, told.total ? told.done / told.total : 1, told.name);
        },
        signal,
      ),
    );
    const values = job.kind === "run" ? job.values : null;
    const made = await timed(seconds, values ? "run" : "self_test", () =>
      parts.generate(
        installed,
        values,
        (told) => {
          onProgress({ generate: told });
          const stage = told.stage === "run" ? "run" : "self_test";
          reporter.tell(stage, told.event?.fraction ?? 0, told.event ? describe(told.event) : "");
        },
        signal,
      ),
    );
    if (made) {
      reporter.tell("upload", 0, "");
      await upload(job, parts.desk, made, signal);
      onProgress({ upload: 1 });
      reporter.tell("upload", 1, "");
    }
    reporter.close();
    const tested = await parts.selfTest(job.bundleId, made?.report.plan);
    const report = {
      ...reportOf(job, made, seconds, parts.device),
      ...(tested ? { self_test: { ...tested, components: components(tested.components) } } : {}),
    };
    await persist(
      () => parts.desk.json("POST", `/v1/jobs/${job.jobId}/done`, { report }, { signal }),
      signal,
    );
    return made;
  } catch (error) {
    reporter.close();
    const gone = error instanceof AppError && error.problem === "revoked";
    const over = error instanceof DeskRefused && error.status === 410;
    if (!signal.aborted && !gone && !over) {
      const message = parts.describe(error).slice(0, 500);
      // The desk may be the one that is away; it hands the job out again when it is back.
      await parts.desk.json("POST", `/v1/jobs/${job.jobId}/failed`, { message }).catch(() => {});
    }
    throw error;
  }
}

async function upload(job: Job, desk: Desk, made: Generated, signal: AbortSignal): Promise<void> {
  const { encode } = await import("../video/encode");
  const { blob, mime } = await encode(made, made.webp !== null);
  const size = `frames=${made.frames.length}&height=${made.height}&width=${made.width}`;
  const path = `/v1/jobs/${job.jobId}/result`;
  const frames = concatenate(made.frames.map(withoutAlpha));
  await put(desk, `${path}/frames?${size}`, frames, "application/octet-stream", signal);
  await put(desk, `${path}/video`, blob, mime, signal);
}

async function put(
  desk: Desk,
  path: string,
  body: BodyInit,
  type: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    await persist(
      () => desk.request("PUT", path, { body, headers: { "Content-Type": type }, signal }),
      signal,
    );
  } catch (error) {
    // The answer to an earlier try was lost on the way; the part itself had come.
    if (!(error instanceof DeskRefused && error.code === "already_received")) throw error;
  }
}

/** Try again while the desk is away: an hour of computing is not lost to a minute without a network. */
async function persist<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await ask();
    } catch (error) {
      const away = error instanceof AppError && error.problem === "desk_away";
      if (!away || attempt >= TRIES || signal.aborted) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

function withoutAlpha(rgba: Uint8ClampedArray): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from] ?? 0;
    rgb[to++] = rgba[from + 1] ?? 0;
    rgb[to++] = rgba[from + 2] ?? 0;
  }
  return rgb;
}

async function timed<T>(seconds: Record<string, number>, name: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    return await work();
  } finally {
    seconds[name] = (performance.now() - start) / 1000;
  }
}

function describe(event: { op: string; step: number; total: number }): string {
  return event.total > 1 ? `${event.op}: step ${event.step} of ${event.total}` : event.op;
}

function reportOf(
  job: Job,
  made: Generated | null,
  seconds: Record<string, number>,
  device: JobParts["device"],
): Record<string, unknown> {
  if (!made) return { attempt: job.attempt, device, seconds };
  const { report } = made;
  return {
    attempt: job.attempt,
    device: { ...device, runtime: report.runtime, threads: report.threads },
    seconds: { ...seconds, run: report.seconds },
    evaluations: report.evaluations,
    leap_steps: report.leapSteps,
    operations: Object.entries(report.timings).map(([id, spent]) => ({ id, seconds: spent })),
    values: report.values,
    weights: report.weights,
    peak_bytes: report.peakBytes,
  };
}

function components(selfTest: SelfTestReport): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(selfTest).map(([name, { psnr, minPsnr, seconds }]) => [
      name,
      // An exact match has no finite figure, which JSON could not say.
      { psnr: Number.isFinite(psnr) ? psnr : null, min_psnr: minPsnr, seconds },
    ]),
  );
}
