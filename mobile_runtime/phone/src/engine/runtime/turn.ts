/** One engine at a time: the memory of one comes back only when its worker is gone, for which the browser takes its time. */

const LOCK = "pocketvideo-engine";
/** An engine that does not end is no reason to start none. */
const PATIENCE_MS = 5_000;

/** Wait until the worker of the engine before is gone, and hold the place of the one engine for as long as this one lives. */
export function takeTurn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, PATIENCE_MS);
    void navigator.locks.request(LOCK, () => {
      resolve();
      return new Promise(() => {});
    });
  });
}
