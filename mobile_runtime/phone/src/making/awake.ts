/** Keeps the screen on while something works: a phone that sleeps stops computing. */

/** Hold the screen until the returned function is called; where the browser cannot, nothing is held. */
export function stayAwake(): () => void {
  let lock: WakeLockSentinel | null = null;
  let over = false;
  const ask = async () => {
    if (over || document.visibilityState !== "visible") return;
    try {
      lock = await navigator.wakeLock.request("screen");
      if (over) await lock.release();
    } catch {
      // Low battery, or a browser without it: the run goes on, and the person may have to touch the screen.
    }
  };
  // The browser takes the lock away whenever the page is hidden.
  document.addEventListener("visibilitychange", ask);
  void ask();
  return () => {
    over = true;
    document.removeEventListener("visibilitychange", ask);
    void lock?.release();
  };
}
