/** The engine without the app, for tests and measurements that drive it from outside. */

import {
  type Engine,
  type InputValue,
  type Manifest,
  openEngine,
  type Plan,
  type ProgressEvent,
  type SourceSpec,
} from "../../../src/engine";
import { decodePhoto } from "../../../src/engine/plan/photo";
import { Engines } from "../../../src/making/engines";
import { generate } from "../../../src/making/generate";
import { ROOT } from "../../../src/storage/opfs";
import { BLOBS as KEPT } from "../../../src/storage/store";

interface Job {
  readonly plan: Plan;
  readonly threads?: number;
  readonly threadPatienceMs?: number;
  readonly budgetBytes?: number;
}

/** Frames as one base64 text, because results of a page are JSON. */
async function base64(frames: readonly Uint8ClampedArray<ArrayBuffer>[]): Promise<string> {
  const address: string = await new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(new Blob([...frames]));
  });
  return address.slice(address.indexOf(",") + 1);
}

/** Progress, and when it was told in milliseconds. */
const told: (ProgressEvent & { readonly at: number })[] = [];
let engine: Engine | null = null;
const engines = new Engines(document, window);
let controller = new AbortController();

const BLOBS = new URL("/blobs/", location.href).href;
let source: SourceSpec = { kind: "fetch", base: BLOBS };

async function readManifest(): Promise<Manifest> {
  return (await fetch("/bundle/manifest.json")).json();
}

const harness = {
  told,
  isolated: globalThis.crossOriginIsolated,

  /** Copy the bundle's blobs into the browser's own storage, from where `open` reads them then. */
  async install(): Promise<void> {
    const { files } = await readManifest();
    const root = await navigator.storage.getDirectory();
    const folder = await (await root.getDirectoryHandle(ROOT, { create: true })).getDirectoryHandle(KEPT, {
      create: true,
    });
    for (const { sha256 } of files) {
      const writing = await (await folder.getFileHandle(sha256, { create: true })).createWritable();
      // As a blob it passes this page by, as a download of the app does that lets go of what it has written.
      await writing.write(await (await fetch(BLOBS + sha256)).blob());
      await writing.close();
    }
    source = { kind: "opfs", directory: `${ROOT}/${KEPT}` };
  },

  async open(job: Job): Promise<void> {
    engine?.close();
    engine = await openEngine({ manifest: await readManifest(), source, ...job });
  },

  close(): void {
    engine?.close();
    engine = null;
  },

  cancel(): void {
    controller.abort();
  },

  selfTest() {
    return (engine as Engine).selfTest();
  },

  async run(
    values: Record<string, InputValue>,
    options: { cancelAtStep?: number; expected?: Record<string, number> } = {},
  ) {
    told.length = 0;
    controller = new AbortController();
    const { frames, ...rest } = await (engine as Engine).run(values, {
      signal: controller.signal,
      ...(options.expected ? { expected: options.expected } : {}),
      onProgress: (event) => {
        told.push({ ...event, at: performance.now() });
        if (event.kind === "denoise" && event.step === options.cancelAtStep) controller.abort();
      },
    });
    return { ...rest, count: frames.length, pixels: await base64(frames) };
  },

  /** The upright pixels of a photo, as the engine reads it: RGBA as base64, with their width and height. */
  async decode(photo: string): Promise<{ pixels: string; width: number; height: number }> {
    const { data, width, height } = await decodePhoto(
      Uint8Array.from(atob(photo), (one) => one.charCodeAt(0)),
    );
    return { pixels: await base64([new Uint8ClampedArray(data)]), width, height };
  },

  /** Make the video as the app does, after `install`: its stages in their order, and how many threads made it. */
  async generate(threads: number): Promise<{ stages: string[]; threads: number | undefined }> {
    const stages: string[] = [];
    const made = await generate(
      { bundleId: "", manifest: await readManifest(), bytes: 0 },
      {},
      {
        choice: { plan: "wasm", threads, budgetBytes: 2 ** 30, why: "why_no_gpu" },
        engines,
        tested: () => Promise.resolve(false),
        remember: () => Promise.resolve(),
        gpuLost: () => {},
      },
      ({ stage }) => {
        if (stage === "prepare" || stage !== stages.at(-1)) stages.push(stage);
      },
      new AbortController().signal,
    );
    return { stages, threads: made?.report.threads };
  },

  /** Only what a run took, many times over. */
  async repeat(times: number): Promise<{ peaks: number[]; seconds: number[] }> {
    const peaks: number[] = [];
    const seconds: number[] = [];
    for (let i = 0; i < times; i++) {
      const { report } = await (engine as Engine).run({ seed: String(i) });
      peaks.push(report.peakBytes);
      seconds.push(report.seconds);
    }
    return { peaks, seconds };
  },
};

export type Harness = typeof harness;
(globalThis as unknown as { harness: Harness }).harness = harness;
