/** The service worker: keeps the app for use without the desk, and says when a newer one has come. */

import { hasFusedSimd } from "../engine";
import * as state from "./state";

const HOUR = 3_600_000;
const MINUTE = 60_000;

let looked = Number.NEGATIVE_INFINITY;

/**
 * Load the page again where the browser went past the kept app; true where it does.
 *
 * Chromium asks the network where it cannot start a worker, and what comes may be of another version. Who reloads
 * past the cache on purpose gets what was asked for. `address` is the one that the page was opened with.
 */
export async function leaveForKept(address: string): Promise<boolean> {
  const kept = navigator.serviceWorker;
  if (!kept || kept.controller) return false;
  const [arrival] = performance.getEntriesByType("navigation") as PerformanceNavigationTiming[];
  if (arrival?.type === "reload") return false;
  const registration = await kept.getRegistration("/").catch(() => undefined);
  if (registration?.active?.state !== "activated") return false;
  // With the invitation, which has left the address bar already.
  history.replaceState(history.state, "", address);
  location.reload();
  return true;
}

/** Keep the app from now on, and look for a newer one at the start and each hour in which the app is seen. */
export async function stayOffline(): Promise<void> {
  if (!("serviceWorker" in navigator)) {
    state.offline.value = "no";
    return;
  }
  followNewVersion();
  const lookInTime = () => {
    if (document.visibilityState === "visible" && Date.now() - looked >= HOUR) void look();
  };
  setInterval(lookInTime, MINUTE);
  document.addEventListener("visibilitychange", lookInTime);
  await look();
}

/** Try again to keep the app, where that failed because the desk went away in the middle. */
export async function deskIsBack(): Promise<void> {
  if (state.offline.value === "no") await look();
}

/** Keep the app where it is not yet kept, else ask the desk for a newer one; without the desk nothing happens. */
async function look(): Promise<void> {
  if (!("serviceWorker" in navigator)) return;
  looked = Date.now();
  try {
    const registration = await navigator.serviceWorker.register("/sw.js", {
      scope: "/",
      updateViaCache: "none",
    });
    watch(registration);
    if (!registration.active) await settled(registration.installing ?? registration.waiting);
    else await registration.update().catch(() => {});
    state.offline.value = registration.active ? "yes" : "no";
  } catch {
    // Without the desk there is nothing to register from; what was kept earlier still works.
    state.offline.value = navigator.serviceWorker.controller ? "yes" : "no";
  }
}

/** Resolves when a worker is active, or was given up because a file of it did not come or is not the build's. */
function settled(worker: ServiceWorker | null): Promise<void> {
  return new Promise((resolve) => {
    const ask = () => {
      if (!worker || worker.state === "activated" || worker.state === "redundant") resolve();
    };
    worker?.addEventListener("statechange", ask);
    ask();
  });
}

/** Load the page again when another version of the app takes over; the very first one takes over its own page. */
function followNewVersion(): void {
  let controlled = navigator.serviceWorker.controller !== null;
  navigator.serviceWorker.addEventListener("controllerchange", () => {
    if (controlled) location.reload();
    controlled = true;
  });
}

function watch(registration: ServiceWorkerRegistration): void {
  const offer = () => {
    if (registration.waiting && navigator.serviceWorker.controller) {
      state.updateWaiting.value = registration.waiting;
    }
  };
  offer();
  registration.onupdatefound = () => registration.installing?.addEventListener("statechange", offer);
}

/** Keep the runtime of a plan, so that a video can be made without the desk from now on. */
export async function keepRuntime(plan: "webgpu" | "wasm"): Promise<void> {
  if (state.offline.value !== "yes") return;
  const { active } = await navigator.serviceWorker.ready;
  // The processor's is kept in any case: it takes over where the GPU fails.
  const simd = hasFusedSimd() ? "fused" : "plain";
  active?.postMessage({ keep: `/assets/ort-wasm-simd-threaded-${simd}-` });
  if (plan === "wasm") return;
  const build = "Suspending" in WebAssembly ? "jspi" : "asyncify";
  active?.postMessage({ keep: `/assets/ort-wasm-simd-threaded.${build}-` });
}
