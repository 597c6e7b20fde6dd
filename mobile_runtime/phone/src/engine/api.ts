/** What the engine offers to the app; the app imports these names from `engine/index`. */

import type { Manifest } from "./manifest";

/** Where networks run: on the GPU, or on the processor in WebAssembly. */
export type Plan = "webgpu" | "wasm";

/**
 * Where the engine reads the files of a bundle, by digest. It is data and no object, because the files are
 * read in a worker of the engine's own while a network runs in another.
 *
 * - `opfs`: the origin private file system, one file per blob, named by its SHA-256, in the folder
 *   `directory` (segments joined by "/").
 * - `fetch`: an address that ends in "/", to which the SHA-256 is added; read with Range where the server has
 *   it.
 */
export type SourceSpec =
  | { readonly kind: "opfs"; readonly directory: string }
  | { readonly kind: "fetch"; readonly base: string };

/** Reads the files of a bundle; what a SourceSpec becomes inside the reader's worker. */
export interface BlobSource {
  /**
   * Fill `into` with `length` bytes from `offset` of the blob. Throws BundleError when it is not there or
   * short.
   */
  read(sha256: string, offset: number, length: number, into: Uint8Array): Promise<void>;
  /** Let go of open files. */
  close(): void;
}

export interface EngineOptions {
  /** Whose bytes had the digest that the bundle is known by; the engine checks everything else of it. */
  readonly manifest: Manifest;
  readonly source: SourceSpec;
  readonly plan: Plan;
  /** Threads for WebAssembly; 1 where the page is not cross-origin isolated. Default: up to 4 cores. */
  readonly threads?: number;
  /** How long a thread may take to say that it is there, until the engine throws a StartError. Default: a minute. */
  readonly threadPatienceMs?: number;
  /**
   * Bytes that weights, the WebAssembly heap and buffers may take together. What does not fit is read again
   * for every step. Without it everything is held.
   */
  readonly budgetBytes?: number;
}

/** A value for an input: a text, a seed (decimal string or bigint), a number, or the bytes of a photo. */
export type InputValue = string | number | bigint | Blob | Uint8Array;

/** One sign of life: op `op` of kind `kind` has done `step` of `total`. */
export interface ProgressEvent {
  readonly op: string;
  readonly kind: string;
  readonly step: number;
  readonly total: number;
  /** The whole run's done part, 0 to 1, as far as it can be told. */
  readonly fraction: number;
  /** Until the end of the run, or null where nothing is known yet. */
  readonly secondsLeft: number | null;
  /** A small picture of the middle frame as the network now sees it. */
  readonly preview: PreviewImage | null;
}

/** RGBA pixels, row by row. */
export interface PreviewImage {
  readonly data: Uint8ClampedArray<ArrayBuffer>;
  readonly width: number;
  readonly height: number;
}

export interface RunOptions {
  readonly onProgress?: (event: ProgressEvent) => void;
  readonly signal?: AbortSignal;
  /** `timings` of an earlier run with such settings, for a better `secondsLeft`. */
  readonly expected?: Readonly<Record<string, number>>;
}

/** How a component's weights came to its stages. */
export interface WeightReport {
  readonly budgetBytes: number | null;
  readonly held: number;
  readonly heldBytes: number;
  readonly streamed: number;
  readonly streamedBytes: number;
  /** How often the whole network ran; two prompts side by side are one pass. */
  readonly passes: number;
  readonly runSeconds: number;
  /** What stages waited for files, in all passes. */
  readonly waitedSeconds: number;
  /** The most that weights took on the GPU at once; 0 in WebAssembly. */
  readonly gpuBytes: number;
  /** The most that the heap, host buffers and weights on the GPU took together. */
  readonly peakBytes: number;
}

export interface RunReport {
  readonly plan: Plan;
  readonly threads: number;
  /** onnxruntime-web's version and build, for people. */
  readonly runtime: string;
  readonly seconds: number;
  /** Seconds per op id, in plan order. */
  readonly timings: Readonly<Record<string, number>>;
  /** Network evaluations of the denoiser. */
  readonly evaluations: number;
  /** By denoise op with a leap: the step, or null where none came. */
  readonly leapSteps: Readonly<Record<string, number | null>>;
  /** The inputs as JSON can hold them: seeds as decimal strings, photos by digest. */
  readonly values: Readonly<Record<string, string | number>>;
  readonly weights: Readonly<Record<string, WeightReport>>;
  readonly peakBytes: number;
}

/** How the plan wants its video written. */
export interface WebpSettings {
  readonly lossless: boolean;
  readonly quality: number;
  readonly effort: number;
}

export interface RunResult {
  /** RGBA pixels of every frame, row by row. */
  readonly frames: readonly Uint8ClampedArray<ArrayBuffer>[];
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  /** An animated WebP instead of an MP4, or null. */
  readonly webp: WebpSettings | null;
  readonly report: RunReport;
}

/** A component's worst PSNR in dB over its outputs (Infinity when equal), its bar, a run's seconds. */
export interface ComponentReport {
  readonly psnr: number;
  readonly minPsnr: number;
  readonly seconds: number;
}

export type SelfTestReport = Readonly<Record<string, ComponentReport>>;

/**
 * One bundle, ready to run. One job at a time: a second call waits for the first.
 *
 * Close it when no job will follow: ending its workers is the only way to give WebAssembly's memory back.
 */
export interface Engine {
  /** Whether it has ended: by `close`, by a failure of its worker, or with a GPU that was lost between two jobs. */
  readonly over: boolean;
  /** Run every component on its recorded inputs. Throws SelfTestError naming component, figure and bar. */
  selfTest(options?: Pick<RunOptions, "onProgress" | "signal">): Promise<SelfTestReport>;
  /** Make the video. Inputs that are left out take the bundle's defaults. */
  run(values: Readonly<Record<string, InputValue>>, options?: RunOptions): Promise<RunResult>;
  /** End the workers. A job that runs is Cancelled. */
  close(): void;
}
