/** The line to the desk while the app is open: pairing, jobs that come, status, videos that go home. */

import { effect } from "@preact/signals";
import { messageOf, problemOf } from "../errors";
import { stayAwake } from "../making/awake";
import type { Choice } from "../making/capability";
import { doJob } from "../making/jobs";
import { saveVideo, titleOf, type VideoRecord } from "../making/videos";
import { Desk } from "../protocol/desk";
import { Link } from "../protocol/link";
import type { Job } from "../protocol/messages";
import { type Pairing, pair } from "../protocol/pair";
import { drawResultId, sendResult } from "../protocol/results";
import * as db from "../storage/db";
import { deskIsBack } from "./offline";
import { describeProblem } from "./problems";
import { freeBytes, installBundle, refreshVideo, refreshWorkflows } from "./shelf";
import * as state from "./state";
import { keepVideo, keptTest, runBundle, showDownload, showGenerate } from "./studio";
import { t } from "./words";

const STATUS_PAUSE = 1_000;

let desk: Desk | null = null;
let link: Link | null = null;
let job: { id: string; controller: AbortController; over: Promise<void> } | null = null;
let pairingStop: AbortController | null = null;
let telling = false;
let told = 0;

/** Pair with the desk of the invitation, or with this page's own by the digits that it shows. */
export async function pairWith(name: string): Promise<void> {
  const invitation = state.invitation.value;
  if (!invitation) return;
  pairingStop = new AbortController();
  state.pairingStep.value = { at: "talk" };
  try {
    const pairing = await pair(
      invitation,
      name,
      (code) => {
        state.pairingStep.value = { at: "compare", code };
      },
      pairingStop.signal,
    );
    await db.put("keep", "pairing", pairing);
    state.invitation.value = null;
    state.pairingWanted.value = false;
    state.pairing.value = pairing;
    state.pairingStep.value = { at: "ask" };
    connect(pairing);
  } catch (error) {
    const problem = problemOf(error);
    if (problem === "cancelled") {
      state.pairingStep.value = { at: "ask" };
      return;
    }
    // Every failure used the offer up or showed that it is the wrong one.
    state.invitation.value = null;
    state.pairingStep.value = { at: "failed", problem, message: messageOf(error) };
  }
}

export function stopPairing(): void {
  pairingStop?.abort();
}

/** Keep a line to the desk. */
export function connect(pairing: Pairing): void {
  link?.stop();
  const current = new Desk(pairing.origin, pairing.token);
  desk = current;
  link = new Link(current, {
    job: (next) => void take(next),
    cancel: (id) => {
      if (job?.id === id) job.controller.abort();
    },
    state: (line) => {
      state.linkState.value = line;
      if (line === "revoked") void forgetDesk();
    },
    hello: () => {
      tellSoon();
      void deskIsBack();
    },
    renamed: (name) => void keepPairing({ ...pairing, deviceName: name }),
    idle: async () => {
      while (job) await job.over;
    },
  });
  link.start();
}

export function wake(): void {
  link?.wake();
}

/** Tell the desk how this phone is now, or as soon as a second has gone by since the last time. */
function tellSoon(): void {
  if (telling || !desk) return;
  telling = true;
  const pause = Math.max(0, told + STATUS_PAUSE - Date.now());
  setTimeout(() => {
    telling = false;
    told = Date.now();
    void tellStatus();
  }, pause);
}

// What is installed, made or deleted here changes what the desk may send.
effect(() => {
  if (state.workflows.value && state.videos.value) tellSoon();
});

/** Tell the desk of this phone's room and its bundles; it shows them, and refuses what cannot fit. */
async function tellStatus(): Promise<void> {
  if (!desk || state.linkState.value === "revoked") return;
  const capability = state.capability.value;
  const free = await freeBytes();
  const held = state.workflows.value.reduce((sum, { bytes }) => sum + bytes, 0);
  const choice = state.choice.value;
  const status = {
    free_bytes: free,
    total_bytes: free === null ? null : free + held,
    memory_bytes: capability?.memory ?? null,
    runtime: runtimeName(choice?.plan ?? "wasm"),
    app: __APP_VERSION__,
    bundles: state.workflows.value.slice(0, 256).map(({ bundleId, manifest, bytes }) => ({
      bundle_id: bundleId,
      name: manifest.name.slice(0, 100),
      bytes,
    })),
  };
  if (link?.send({ type: "status", ...status })) return;
  await desk.json("PUT", "/v1/device/status", status).catch(() => {});
}

/** Send a video that was made here to the desk. */
export async function sendVideo(record: VideoRecord): Promise<void> {
  if (!desk || state.activity.value) return;
  const title = titleOf(record);
  state.activity.value = state.doing("send", record.bundleId, title, "upload");
  try {
    await sendResult(
      desk,
      {
        result_id: record.id,
        bundle_id: record.bundleId,
        values: record.values,
        seconds: record.seconds,
        mime: record.mime,
        name: title.slice(0, 100),
      },
      record.video,
      (fraction) => state.change({ fraction }),
      new AbortController().signal,
    );
    await saveVideo({ ...record, sent: true });
    await refreshVideo(record.id);
    state.notice.value = { tone: "good", text: t("sent_to_desk") };
  } catch (error) {
    state.notice.value = { tone: "bad", text: describeProblem(error) };
  } finally {
    state.activity.value = null;
  }
}

/** End the pairing here and, where it can be reached, at the desk. Workflows and videos stay. */
export async function unpair(): Promise<void> {
  await desk?.json("DELETE", "/v1/device").catch(() => {});
  link?.stop();
  await forgetDesk();
}

async function forgetDesk(): Promise<void> {
  job?.controller.abort();
  link?.stop();
  link = null;
  desk = null;
  await db.remove("keep", "pairing");
  state.pairing.value = null;
  state.linkState.value = "connecting";
}

async function keepPairing(pairing: Pairing): Promise<void> {
  await db.put("keep", "pairing", pairing);
  state.pairing.value = pairing;
}

async function take(next: Job): Promise<void> {
  if (job?.id === next.jobId) return;
  while (job) await job.over;
  if (!desk || !link) return;
  const controller = new AbortController();
  let end = () => {};
  job = { id: next.jobId, controller, over: new Promise((resolve) => (end = resolve)) };
  const release = stayAwake();
  try {
    await state.whenFree();
    state.activity.value = state.doing("job", next.bundleId, next.name, "download", () => controller.abort());
    const made = await doJob(
      next,
      {
        desk,
        link,
        install: installBundle(desk),
        generate: runBundle,
        describe: describeProblem,
        selfTest: async (bundleId, plan) => {
          const kept = await keptTest(bundleId, plan);
          return kept && { runtime: runtimeName(kept.plan), components: kept.report };
        },
        device: { system: "browser", cores: navigator.hardwareConcurrency || 1, app: __APP_VERSION__ },
      },
      (told) => {
        if (told.download) showDownload(told.download);
        if (told.generate) showGenerate(told.generate);
      },
      controller,
    );
    await refreshWorkflows();
    const here = state.workflows.value.find((one) => one.bundleId === next.bundleId);
    if (made && here) {
      await keepVideo(here, made, made.report.values, drawResultId(), true);
    }
    state.notice.value = {
      tone: "good",
      text: made ? t("job_done") : t("workflow_arrived", { name: here?.manifest.name ?? next.name }),
    };
  } catch (error) {
    if (problemOf(error) !== "cancelled") state.notice.value = { tone: "bad", text: describeProblem(error) };
    await refreshWorkflows();
  } finally {
    release();
    state.activity.value = null;
    job = null;
    end();
  }
}

function runtimeName(plan: Choice["plan"]): string {
  const gpu = plan === "webgpu" ? state.capability.value?.gpu?.name : undefined;
  return gpu ? `onnxruntime-web, WebGPU (${gpu})`.slice(0, 200) : "onnxruntime-web, WebAssembly";
}
