/** The app's side of the engine: promises over a worker. */

import type {
  Engine,
  EngineOptions,
  InputValue,
  ProgressEvent,
  RunOptions,
  RunResult,
  SelfTestReport,
} from "./api";
import { Cancelled, EngineError, reviveError, startError } from "./errors";
import type { Answer, Request } from "./messages";

interface Waiting {
  resolve(result: unknown): void;
  reject(error: Error): void;
  onProgress(event: ProgressEvent): void;
}

// biome-ignore lint/suspicious/noExplicitAny: each kind of request has fields of its own
type Without<T, K extends string> = T extends any ? Omit<T, K> : never;

/** A worker that is to stop does so within a block; one that does not is ended. */
const CANCEL_PATIENCE_MS = 10_000;
const CANCELLED = "The run was cancelled before the video was finished; start it again when you like.";

/**
 * Start an engine for one bundle. Throws PlanError where the plan asks for a GPU that is not there.
 *
 * A PlanError may also come from a run (DeviceLostError is one): open another engine with the plan "wasm"
 * then.
 */
export async function openEngine(options: EngineOptions): Promise<Engine> {
  const client = new Client();
  try {
    await client.call({ call: "open", options }, {});
    return client;
  } catch (error) {
    client.close();
    throw error;
  }
}

class Client implements Engine {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private next = 1;
  private ended: Error | null = null;
  private heard = false;

  constructor() {
    this.worker = new Worker(new URL("./worker.ts", import.meta.url), {
      type: "module",
      name: "pocketvideo-engine",
    });
    this.worker.onmessage = ({ data }: MessageEvent<Answer>) => this.hear(data);
    this.worker.onerror = (event) =>
      this.end(
        this.heard
          ? new EngineError(
              `The engine ended (${event.message || "no reason told"}); close other apps, or make a smaller video.`,
            )
          : startError("The worker", event.message),
      );
  }

  get over(): boolean {
    return this.ended !== null;
  }

  selfTest(options: Pick<RunOptions, "onProgress" | "signal"> = {}): Promise<SelfTestReport> {
    return this.call({ call: "selfTest" }, options) as Promise<SelfTestReport>;
  }

  run(values: Readonly<Record<string, InputValue>>, options: RunOptions = {}): Promise<RunResult> {
    const expected = options.expected ?? {};
    return this.call({ call: "run", values, expected }, options) as Promise<RunResult>;
  }

  close(): void {
    this.end(new Cancelled(CANCELLED));
  }

  call(
    request: Without<Exclude<Request, { call: "cancel" }>, "id">,
    { onProgress, signal }: Pick<RunOptions, "onProgress" | "signal">,
  ): Promise<unknown> {
    if (this.ended !== null) return Promise.reject(this.ended);
    if (signal?.aborted) return Promise.reject(new Cancelled(CANCELLED));
    const id = this.next++;
    let patience: ReturnType<typeof setTimeout> | undefined;
    const cancel = () => {
      this.worker.postMessage({ id, call: "cancel" } satisfies Request);
      patience = setTimeout(() => this.close(), CANCEL_PATIENCE_MS);
    };
    signal?.addEventListener("abort", cancel);
    const done = () => {
      signal?.removeEventListener("abort", cancel);
      clearTimeout(patience);
    };
    return new Promise((resolve, reject) => {
      // A worker in the middle of a block may still tell of it.
      const hear = (event: ProgressEvent) => {
        if (!signal?.aborted) onProgress?.(event);
      };
      // A run that was over before its worker heard of the end that the caller wants is cancelled, too.
      const finish = (result: unknown) => {
        if (signal?.aborted) reject(new Cancelled(CANCELLED));
        else resolve(result);
      };
      this.waiting.set(id, { resolve: finish, reject, onProgress: hear });
      this.worker.postMessage({ id, ...request } as Request);
    }).finally(done);
  }

  private hear(answer: Answer): void {
    this.heard = true;
    if ("ended" in answer) {
      this.end(reviveError(answer.ended));
      return;
    }
    const waiting = this.waiting.get(answer.id);
    if (waiting === undefined) return;
    if ("progress" in answer) {
      waiting.onProgress(answer.progress);
      return;
    }
    this.waiting.delete(answer.id);
    if ("error" in answer) waiting.reject(reviveError(answer.error));
    else waiting.resolve(answer.result);
  }

  private end(error: Error): void {
    this.ended ??= error;
    this.worker.terminate();
    for (const waiting of this.waiting.values()) waiting.reject(error);
    this.waiting.clear();
  }
}
