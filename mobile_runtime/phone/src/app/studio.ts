/** Making videos: the engine's runs, their progress on the screen, and what is kept of them. */

import { effect } from "@preact/signals";
import type { InputValue, SelfTestReport } from "../engine";
import { problemOf } from "../errors";
import { stayAwake } from "../making/awake";
import type { Choice } from "../making/capability";
import { Engines } from "../making/engines";
import { type Generated, type GenerateProgress, generate } from "../making/generate";
import { Guard } from "../making/guard";
import { saveVideo, type VideoRecord } from "../making/videos";
import type { Values } from "../protocol/messages";
import { drawResultId } from "../protocol/results";
import * as db from "../storage/db";
import { promptsOf } from "../storage/manifest";
import type { DownloadProgress, Installed } from "../storage/worker";
import { describeProblem } from "./problems";
import { refreshVideo, refreshWorkflows, storage } from "./shelf";
import * as state from "./state";
import { t } from "./words";

export const guard = new Guard(localStorage);
const engines = new Engines(document, window);

// A workflow that was deleted needs no engine any more.
effect(() => engines.only(new Set(state.workflows.value.map(({ bundleId }) => bundleId))));

/** Run a bundle; with `values` null only its self-test. A run that kills the tab is noticed at the next start. */
export async function runBundle(
  installed: Installed,
  values: Readonly<Record<string, InputValue>> | null,
  onProgress: (told: GenerateProgress) => void,
  signal: AbortSignal,
): Promise<Generated | null> {
  const choice = state.choice.value;
  if (!choice) throw new Error("The capabilities are not known yet.");
  const leave = guard.enter(document, window);
  try {
    const surroundings = { choice, engines, tested, remember, gpuLost };
    return await generate(installed, values, surroundings, onProgress, signal);
  } finally {
    leave();
  }
}

/** Make a video because a person here asked for it; its id, or null where none was made. */
export async function make(
  installed: Installed,
  values: Readonly<Record<string, InputValue>>,
): Promise<string | null> {
  if (state.activity.value) return null;
  const controller = new AbortController();
  const release = stayAwake();
  const { bundleId, manifest } = installed;
  state.notice.value = null;
  state.activity.value = state.doing("make", bundleId, manifest.name, "prepare", () => controller.abort());
  try {
    const made = await runBundle(installed, values, showGenerate, controller.signal);
    if (!made) return null;
    const id = drawResultId();
    await keepVideo(installed, made, made.report.values, id, false);
    return id;
  } catch (error) {
    if (problemOf(error) !== "cancelled") {
      await explain(error, installed);
      // Files that were found broken are gone. A video changes no workflow, and to look at every file here
      // after each one would take longer with every workflow.
      await refreshWorkflows();
    }
    return null;
  } finally {
    release();
    state.activity.value = null;
  }
}

/** Keep a finished run as a video with the settings that made it. */
export async function keepVideo(
  installed: Installed,
  made: Generated,
  values: Values,
  id: string,
  sent: boolean,
): Promise<void> {
  state.change({ stage: "encode", fraction: null, secondsLeft: null });
  const { encode, poster } = await import("../video/encode");
  const { blob, mime } = await encode(made, made.webp !== null);
  const record: VideoRecord = {
    id,
    bundleId: installed.bundleId,
    workflow: installed.manifest.name,
    values,
    prompt: promptsOf(installed.manifest).wanted,
    made: Date.now(),
    seconds: made.report.seconds,
    mime,
    width: made.width,
    height: made.height,
    frames: made.frames.length,
    fps: made.fps,
    video: blob,
    poster: await poster(made),
    sent,
  };
  await saveVideo(record);
  await refreshVideo(id);
}

export function showDownload(told: DownloadProgress): void {
  state.change({
    stage: told.stage,
    title: told.name,
    fraction: told.total ? told.done / told.total : 1,
    bytes: { done: told.done, total: told.total },
  });
}

export function showGenerate({ stage, event, fellBack }: GenerateProgress): void {
  const preview = event?.preview ?? state.activity.value?.preview ?? null;
  state.change({
    stage,
    fellBack,
    preview,
    bytes: null,
    fraction: event?.fraction ?? null,
    step: event?.step ?? 0,
    steps: event?.total ?? 0,
    secondsLeft: event?.secondsLeft ?? null,
  });
}

/** Say what went wrong; where files may have changed on the disk, look, so that the words can say so. */
async function explain(error: unknown, { bundleId }: Installed): Promise<void> {
  const name = error instanceof Error ? error.name : "";
  if (name === "BundleError" || name === "SelfTestError") {
    await db.remove("keep", testKey(bundleId, "webgpu"));
    await db.remove("keep", testKey(bundleId, "wasm"));
    const broken = await storage().call("verify", bundleId);
    if (broken > 0) {
      state.notice.value = { tone: "bad", text: t("files_broken", { count: broken }) };
      return;
    }
  }
  state.notice.value = { tone: "bad", text: describeProblem(error) };
}

/** The next run tries less. */
function gpuLost(): void {
  guard.gpuLost(document);
  state.caution.value = guard.caution;
}

const testKey = (bundleId: string, plan: string) => `tested:${bundleId}:${plan}`;

async function tested(bundleId: string, plan: string): Promise<boolean> {
  return (await db.get("keep", testKey(bundleId, plan))) !== undefined;
}

async function remember(bundleId: string, plan: Choice["plan"], report: SelfTestReport): Promise<void> {
  const kept: KeptTest = { made: Date.now(), plan, report };
  await db.put("keep", testKey(bundleId, plan), kept);
}

/** A self-test that this bundle passed on this phone, and on which plan. */
export interface KeptTest {
  readonly made: number;
  readonly plan: Choice["plan"];
  readonly report: SelfTestReport;
}

/** The newest self-test that a bundle passed, on one plan or on any; null where there is none. */
export async function keptTest(bundleId: string, plan?: Choice["plan"]): Promise<KeptTest | null> {
  const plans = plan ? [plan] : (["webgpu", "wasm"] as const);
  const kept = await Promise.all(plans.map((one) => db.get<KeptTest>("keep", testKey(bundleId, one))));
  const found = kept.filter((one) => one !== undefined);
  return found.sort((first, second) => second.made - first.made)[0] ?? null;
}
