/** The service worker: keeps the app for use without the desk, and says when a newer one has come. */

import { hasFusedSimd } from "../engine";
import * as state from "./state";

/** Register the service worker; where the browser refuses (a certificate that is not trusted), say so. */
export async function stayOffline(): Promise<void> {
  if (!("serviceWorker" in navigator)) {
    state.offline.value = "no";
    return;
  }
  followNewVersion();
  try {
    const registration = await navigator.serviceWorker.register("/sw.js", {
      scope: "/",
      updateViaCache: "none",
    });
    watch(registration);
    await navigator.serviceWorker.ready;
    state.offline.value = "yes";
  } catch {
    // Without the desk there is nothing to register from; what was kept earlier still works.
    state.offline.value = navigator.serviceWorker.controller ? "yes" : "no";
  }
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
  registration.addEventListener("updatefound", () => {
    registration.installing?.addEventListener("statechange", offer);
  });
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
