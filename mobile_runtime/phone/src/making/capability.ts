/** What this browser and phone can do, and which way of computing follows from it. */

import type { Plan } from "../engine";

/** The GPU as the browser shows it; null fields where it says nothing. */
export interface Gpu {
  readonly name: string;
  readonly f16: boolean;
  readonly largestBuffer: number;
}

export interface Capability {
  readonly secure: boolean;
  readonly isolated: boolean;
  readonly gpu: Gpu | null;
  /** Whether the app may be kept for use without the desk: true level-two trust, in the protocol's words. */
  readonly offline: boolean;
  readonly cores: number;
  /** Bytes; null where the browser does not tell. */
  readonly memory: number | null;
  readonly storage: boolean;
  readonly quota: number | null;
  /** What the browser counts as ours. Chromium forgets what files grew by through a worker's handles when it restarts. */
  readonly usage: number | null;
  readonly persisted: boolean;
  readonly encoder: boolean;
}

/** How hard to try after crashes: 0 as the phone can, 1 with half the memory, 2 without the GPU, 3 with a quarter. */
export type Caution = 0 | 1 | 2 | 3;

export interface Choice {
  readonly plan: Plan;
  readonly threads: number;
  readonly budgetBytes: number;
  /** Why, as a key of the words. */
  readonly why: "why_gpu" | "why_no_gpu" | "why_small_gpu" | "why_crashed";
}

const MIB = 1024 * 1024;
// Weights go to the GPU block by block; an adapter that cannot hold one block of this size is a software one or broken.
const SMALLEST_GPU_BUFFER = 128 * MIB;
// The browser tells memory in rough steps of at most 8 GiB, and iOS not at all; tabs are ended at about a third.
const UNKNOWN_MEMORY = 3 * 1024 * MIB;
const SHARE_OF_MEMORY = 0.25;
const MOST_THREADS = 4;

/** The way to compute on a device of these abilities. */
export function choose(capability: Capability, caution: Caution): Choice {
  const memory = capability.memory ?? UNKNOWN_MEMORY;
  const share = caution === 0 ? 1 : caution === 3 ? 0.25 : 0.5;
  const budgetBytes = Math.round(memory * SHARE_OF_MEMORY * share);
  const threads = capability.isolated ? Math.max(1, Math.min(MOST_THREADS, capability.cores)) : 1;
  const common = { threads, budgetBytes };
  if (!capability.gpu) return { ...common, plan: "wasm", why: "why_no_gpu" };
  if (capability.gpu.largestBuffer < SMALLEST_GPU_BUFFER)
    return { ...common, plan: "wasm", why: "why_small_gpu" };
  if (caution >= 2) return { ...common, plan: "wasm", why: "why_crashed" };
  return { ...common, plan: "webgpu", why: "why_gpu" };
}

/** Ask the browser; takes some milliseconds and downloads nothing. */
export async function probe(): Promise<Capability> {
  const estimate = await attempt(() => navigator.storage.estimate());
  const memory = (navigator as { deviceMemory?: number }).deviceMemory;
  return {
    secure: globalThis.isSecureContext,
    isolated: globalThis.crossOriginIsolated,
    gpu: await probeGpu(),
    offline: await canStayOffline(),
    cores: navigator.hardwareConcurrency || 1,
    memory: memory ? memory * 1024 * MIB : null,
    storage: (await attempt(() => navigator.storage.getDirectory())) !== null,
    quota: estimate?.quota ?? null,
    usage: estimate?.usage ?? null,
    persisted: (await attempt(() => navigator.storage.persisted())) ?? false,
    encoder: typeof VideoEncoder !== "undefined",
  };
}

async function probeGpu(): Promise<Gpu | null> {
  const adapter = await attempt(() => navigator.gpu?.requestAdapter({ powerPreference: "high-performance" }));
  if (!adapter) return null;
  // Some browsers answer requestAdapter and then refuse the device; that is found out now and not in a run.
  const device = await attempt(() => adapter.requestDevice());
  if (!device) return null;
  device.destroy();
  const { vendor = "", architecture = "", description = "" } = adapter.info ?? {};
  return {
    name: description || [vendor, architecture].filter(Boolean).join(" ") || "GPU",
    f16: adapter.features.has("shader-f16"),
    largestBuffer: Math.min(adapter.limits.maxBufferSize, adapter.limits.maxStorageBufferBindingSize),
  };
}

async function canStayOffline(): Promise<boolean> {
  if (!("serviceWorker" in navigator)) return false;
  return (await attempt(() => navigator.serviceWorker.getRegistration("/"))) !== null;
}

/** A promise's value, or null where the browser refuses or has no such thing. */
async function attempt<T>(ask: () => Promise<T> | undefined): Promise<T | null> {
  try {
    return (await ask()) ?? null;
  } catch {
    return null;
  }
}
