/** Calls between a page and its worker: promises, progress, cancelling. Both sides are ours, so both are typed. */

import { AppError, type Problem } from "./errors";

/** What a worker offers: functions of one argument, which may tell progress and can be cancelled. */
// biome-ignore lint/suspicious/noExplicitAny: a table of functions of any argument
export type Handlers = Record<string, (argument: any, call: Call) => unknown>;

export interface Call {
  progress(told: unknown): void;
  readonly signal: AbortSignal;
}

type Request = { id: number; name: string; argument: unknown } | { id: number; cancel: true };
type Answer =
  | { id: number; progress: unknown }
  | { id: number; value: unknown }
  | {
      id: number;
      error: {
        name: string;
        message: string;
        problem?: Problem;
        detail?: string;
        numbers?: AppError["numbers"];
      };
    };

type Argument<H extends Handlers, N extends keyof H> = Parameters<H[N]>[0];
type Result<H extends Handlers, N extends keyof H> = Awaited<ReturnType<H[N]>>;

interface Port {
  postMessage(message: unknown): void;
  addEventListener(type: "message", listener: (event: MessageEvent) => void): void;
  addEventListener(type: "error", listener: (event: Event) => void): void;
}

/** A worker whose program did not come or does not run; a new one may. */
export class NotStarted extends Error {
  override readonly name = "NotStarted";
}

/** Answer the calls of the page that started this worker. */
export function serve(port: Port, handlers: Handlers): void {
  const running = new Map<number, AbortController>();
  port.addEventListener("message", (event: MessageEvent<Request>) => {
    const request = event.data;
    if ("cancel" in request) {
      running.get(request.id)?.abort();
      return;
    }
    const { id, name, argument } = request;
    const controller = new AbortController();
    running.set(id, controller);
    const call: Call = {
      signal: controller.signal,
      progress: (progress) => port.postMessage({ id, progress }),
    };
    const handler = handlers[name];
    Promise.resolve()
      .then(() => {
        if (!handler) throw new Error(`This worker has no function ${name}.`);
        return handler(argument, call);
      })
      .then((value) => port.postMessage({ id, value }))
      .catch((error: unknown) => port.postMessage({ id, error: describe(error) }))
      .finally(() => running.delete(id));
  });
}

/** The page's side of a worker that `serve`s handlers of type H. */
export class Client<H extends Handlers> {
  private next = 1;
  private broken: Error | null = null;
  private heard = false;
  private readonly waiting = new Map<
    number,
    {
      resolve(value: unknown): void;
      reject(error: Error): void;
      progress: ((told: unknown) => void) | undefined;
    }
  >();

  constructor(private readonly worker: Port) {
    worker.addEventListener("message", (event: MessageEvent<Answer>) => this.hear(event.data));
    // A program that did not come or does not run: nobody will answer. What fails later is told to its caller.
    worker.addEventListener("error", (event) => {
      if (!this.heard) this.fail((event as Partial<ErrorEvent>).message);
    });
  }

  /** Whether the worker did not start; a new one may. */
  get over(): boolean {
    return this.broken !== null;
  }

  call<N extends keyof H & string>(
    name: N,
    argument: Argument<H, N>,
    options: { onProgress?: (told: never) => void; signal?: AbortSignal } = {},
  ): Promise<Result<H, N>> {
    const id = this.next++;
    return new Promise((resolve, reject) => {
      if (this.broken) throw this.broken;
      options.signal?.throwIfAborted();
      const cancel = () => this.worker.postMessage({ id, cancel: true } satisfies Request);
      options.signal?.addEventListener("abort", cancel);
      const done = () => options.signal?.removeEventListener("abort", cancel);
      this.waiting.set(id, {
        resolve: (value) => {
          done();
          resolve(value as Result<H, N>);
        },
        reject: (error) => {
          done();
          reject(error);
        },
        progress: options.onProgress as ((told: unknown) => void) | undefined,
      });
      this.worker.postMessage({ id, name, argument } satisfies Request);
    });
  }

  private fail(why?: string): void {
    this.broken ??= new NotStarted(
      `A part of the app did not start (${why || "its program did not come"}); try again, or open the app again.`,
    );
    for (const { reject } of this.waiting.values()) reject(this.broken);
    this.waiting.clear();
  }

  private hear(answer: Answer): void {
    this.heard = true;
    const waiting = this.waiting.get(answer.id);
    if (!waiting) return;
    if ("progress" in answer) {
      waiting.progress?.(answer.progress);
      return;
    }
    this.waiting.delete(answer.id);
    if ("error" in answer) waiting.reject(revive(answer.error));
    else waiting.resolve(answer.value);
  }
}

function describe(error: unknown): object {
  if (error instanceof AppError) {
    const { name, message, problem, detail, numbers } = error;
    return { name, message, problem, detail, numbers };
  }
  if (error instanceof Error) return { name: error.name, message: error.message };
  return { name: "Error", message: String(error) };
}

function revive(told: {
  name: string;
  message: string;
  problem?: Problem;
  detail?: string;
  numbers?: AppError["numbers"];
}): Error {
  if (told.problem) return new AppError(told.problem, told.detail, told.numbers);
  if (told.name === "AbortError" || told.name === "QuotaExceededError")
    return new DOMException(told.message, told.name);
  const error = new Error(told.message);
  error.name = told.name;
  return error;
}
