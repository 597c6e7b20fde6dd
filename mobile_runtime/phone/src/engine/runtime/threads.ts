/** The threads that onnxruntime starts for itself: workers whose failures it does not hear. */

import { startError } from "../errors";
import { Failure } from "./failure";

/** Emscripten's name for its threads. */
const THREAD = "em-pthread";
/** From the moment that a thread is given its work to do until it says that it is there. */
const PATIENCE_MS = 60_000;

let patience = PATIENCE_MS;

/** A thread that did not start: whatever waits for the runtime waits in vain. */
export const threadFailure = new Failure();

/**
 * Notice every thread that does not start. To be called in a worker before the runtime is loaded.
 *
 * The runtime listens to a thread only when the compiled code is here to be sent. A program that could not be
 * loaded is told before that, and the runtime would wait for its answer for ever.
 */
export function watchThreads(): void {
  const Native = globalThis.Worker;
  globalThis.Worker = class extends Native {
    constructor(address: string | URL, options?: WorkerOptions) {
      super(address, options);
      if (options?.name?.startsWith(THREAD)) watch(this);
    }
  };
}

/** How long threads that start from now on may say nothing; without a number a minute. */
export function waitForThreads(milliseconds: number = PATIENCE_MS): void {
  patience = milliseconds;
}

function watch(thread: Worker): void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const failed = (why?: string) => threadFailure.tell(startError("A thread", why));
  const send = thread.postMessage.bind(thread) as (message: unknown, options?: object) => void;
  thread.postMessage = (message: unknown, options?: object) => {
    timer ??= setTimeout(() => failed("it does not answer"), patience);
    send(message, options);
  };
  thread.addEventListener("message", () => clearTimeout(timer), { once: true });
  thread.addEventListener("error", (event) => {
    clearTimeout(timer);
    // The runtime would throw it again, as an error of its own that nobody can tell from others.
    event.preventDefault();
    event.stopImmediatePropagation();
    failed(event.message);
  });
}
