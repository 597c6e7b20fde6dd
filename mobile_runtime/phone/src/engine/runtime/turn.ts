/**
 * One engine at a time: what one computes with comes back only with the end of its worker, and one that is ended
 * in the middle of a graph takes its time.
 *
 * Its threads may live on for two seconds: Chromium ends by force what waits for work inside WebAssembly. They
 * keep the heap for so long, which is no reason to let a person wait as well.
 */

const LOCK = "pocketvideo-engine";
/** An engine that does not end is no reason to start none. */
const PATIENCE_MS = 5_000;

/** Wait for the end of the engine before, and hold the place of the one engine for as long as this worker lives. */
export function takeTurn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, PATIENCE_MS);
    void navigator.locks.request(LOCK, () => {
      resolve();
      return new Promise(() => {});
    });
  });
}
