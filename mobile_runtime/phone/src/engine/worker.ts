/** The worker that owns the runtime: one bundle, one job at a time. */

import type { EngineOptions, ProgressEvent, RunResult } from "./api";
import { checkManifest } from "./bundle/check";
import { EngineError, plainError } from "./errors";
import type { Answer, Request } from "./messages";
import { runPlan, type Workshop } from "./plan/run";
import { selfTest } from "./plan/selfTest";
import { BundleFiles } from "./runtime/files";
import { watchHeaps } from "./runtime/meter";
import { Reader } from "./runtime/reader";
import { openRuntime } from "./runtime/runtime";
import { waitForThreads, watchThreads } from "./runtime/threads";
import { takeTurn } from "./runtime/turn";

const MOST_THREADS = 4;

let workshop: Workshop | null = null;
/** Jobs that wait or run, by their call's number. */
const jobs = new Map<number, AbortController>();
let last: Promise<unknown> = Promise.resolve();

watchHeaps();
watchThreads();

self.onmessage = ({ data }: MessageEvent<Request>) => {
  if (data.call === "cancel") {
    jobs.get(data.id)?.abort();
    return;
  }
  const controller = new AbortController();
  jobs.set(data.id, controller);
  last = last.then(() => answer(data, controller.signal)).finally(() => jobs.delete(data.id));
};

async function answer(request: Exclude<Request, { call: "cancel" }>, signal: AbortSignal): Promise<void> {
  const { id } = request;
  const tell = (progress: ProgressEvent) => post({ id, progress });
  try {
    if (request.call === "open") {
      workshop = await open(request.options);
      post({ id, result: null });
      return;
    }
    if (workshop === null) throw new EngineError("The engine is not open; open it before it runs.");
    if (request.call === "selfTest") {
      post({ id, result: await selfTest(workshop, tell, signal) });
      return;
    }
    const result: RunResult = await runPlan(workshop, request.values, tell, signal, request.expected);
    post(
      { id, result },
      result.frames.map((frame) => frame.buffer),
    );
  } catch (error) {
    post({ id, error: plainError(error) });
  }
}

async function open(options: EngineOptions): Promise<Workshop> {
  const { manifest, source, plan, threads, threadPatienceMs, budgetBytes } = options;
  checkManifest(manifest);
  waitForThreads(threadPatienceMs);
  const cores = Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS);
  await takeTurn();
  const runtime = await openRuntime(plan, threads ?? cores);
  // A GPU that goes between two jobs fails no run that would tell of it.
  void runtime.gpu?.lost.over(new Promise<never>(() => {})).catch((error: unknown) => {
    if (jobs.size === 0) post({ ended: plainError(error) });
  });
  return {
    manifest,
    runtime,
    files: new BundleFiles(manifest, new Reader(source)),
    budget: budgetBytes ?? null,
  };
}

function post(message: Answer, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}
