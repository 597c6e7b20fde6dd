/**
 * onnxruntime-web in this worker: the build that fits the plan, and for WebGPU the device that weights live
 * on.
 */

import type * as Ort from "onnxruntime-web";
import type { InferenceSession, Tensor, TypedTensor } from "onnxruntime-web";
import type { Plan } from "../api";
import { DeviceLostError, EngineError, firstLine, PlanError } from "../errors";
import { Failure } from "./failure";
import { threadFailure } from "./threads";

/** y = x: a session of this graph keeps the GPU's compiled shaders while networks come and go. */
const IDENTITY =
  "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a02080162" +
  "0f0a0179120a0a08080112040a02080142040a001012";

/** What the GPU is asked for beyond the least that every browser grants. */
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
  "maxComputeWorkgroupSizeZ",
  "maxComputeWorkgroupsPerDimension",
] as const;
/** How Chromium's and others' calls fail on a device that is gone. */
const LOST = /external Instance reference|device (is|was) lost|lost device|context lost/i;
const LOSS_TOLD_MS = 500;
const FEATURES = ["shader-f16", "subgroups"] as const;

export interface Runtime {
  readonly ort: typeof Ort;
  readonly plan: Plan;
  readonly threads: number;
  /** Version and build, for people. */
  readonly name: string;
  readonly gpu: Gpu | null;
  createSession(graph: Uint8Array): Promise<InferenceSession>;
  close(): Promise<void>;
}

/** Load the runtime. Throws PlanError where the browser has no WebGPU for the plan that wants it. */
export async function openRuntime(plan: Plan, threads: number): Promise<Runtime> {
  const gpu = plan === "webgpu" ? await Gpu.open() : null;
  const { ort, build } = await load(plan);
  const count = globalThis.crossOriginIsolated ? threads : 1;
  ort.env.logLevel = "error";
  // This worker is where the runtime works; one more would only be in the way.
  ort.env.wasm.proxy = false;
  ort.env.wasm.numThreads = plan === "webgpu" ? 1 : count;
  const options: InferenceSession.SessionOptions = {
    graphOptimizationLevel: "all",
    // Shapes change from run to run, so a memory plan of the last run is of no use.
    enableMemPattern: false,
    executionProviders: gpu === null ? ["wasm"] : [{ name: "webgpu", device: gpu.device }],
    ...(gpu === null ? {} : { preferredOutputLocation: "gpu-buffer" as const }),
  };
  const createSession = (graph: Uint8Array) =>
    threadFailure.over(ort.InferenceSession.create(graph, options));
  let keeper: InferenceSession | null = null;
  try {
    keeper = gpu === null ? null : await createSession(bytesOf(IDENTITY));
  } catch (error) {
    throw new PlanError(
      `The GPU cannot be used by onnxruntime-web (${firstLine(error)}); make the video on the processor.`,
    );
  }
  return {
    ort,
    plan,
    threads: ort.env.wasm.numThreads,
    name: `onnxruntime-web ${ort.env.versions.web ?? ort.env.versions.common} (${build})`,
    gpu,
    createSession,
    close: async () => {
      await keeper?.release();
      gpu?.close();
    },
  };
}

/**
 * The processor's build is the smallest; WebGPU's is half as large where the browser can suspend WebAssembly.
 */
async function load(plan: Plan): Promise<{ ort: typeof Ort; build: string }> {
  if (plan === "wasm") {
    const { ort } = await import("./ortWasm");
    return { ort, build: "wasm" };
  }
  if ("Suspending" in WebAssembly) {
    const { ort } = await import("./ortJspi");
    return { ort, build: "webgpu, jspi" };
  }
  const { ort } = await import("./ortAsyncify");
  return { ort, build: "webgpu, asyncify" };
}

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

/** The GPU's device, and what it says of failures. */
export class Gpu {
  /** A DeviceLostError when the device is taken away. */
  readonly lost = new Failure();
  private closed = false;
  private failure: string | null = null;

  private constructor(
    readonly device: GPUDevice,
    readonly half: boolean,
  ) {
    void device.lost.then((info) => {
      if (!this.closed) this.lost.tell(lostError(info.message));
    });
    device.onuncapturederror = (event) => {
      this.failure ??= firstLine(event.error.message);
    };
  }

  static async open(): Promise<Gpu> {
    const adapter =
      (await globalThis.navigator?.gpu?.requestAdapter({ powerPreference: "high-performance" })) ?? null;
    if (adapter === null)
      throw new PlanError("This browser gives no GPU to web pages; make the video on the processor.");
    const features = FEATURES.filter((name) => adapter.features.has(name)) as GPUFeatureName[];
    const requiredLimits = Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]]));
    try {
      const device = await adapter.requestDevice({ requiredFeatures: features, requiredLimits });
      return new Gpu(device, features.includes("shader-f16" as GPUFeatureName));
    } catch (error) {
      throw new PlanError(`The GPU cannot be used (${firstLine(error)}); make the video on the processor.`);
    }
  }

  /** Throw PlanError when something that was asked of the GPU has failed. */
  check(): void {
    if (this.failure !== null)
      throw new PlanError(
        `The GPU refused a piece of the work (${this.failure}); make a smaller video, or make it on the processor.`,
      );
  }

  /** Wait for what may be told late, then `check`. */
  async settle(): Promise<void> {
    await this.lost.over(this.device.queue.onSubmittedWorkDone());
    this.check();
  }

  /**
   * What lies behind an error of a run: when a device is lost, whatever waits for it fails in words of its
   * own, and often before the loss is told.
   */
  async explain(error: unknown): Promise<unknown> {
    if (error instanceof EngineError) return error;
    if (LOST.test(firstLine(error))) return lostError(firstLine(error));
    const soon = new Promise<unknown>((resolve) => setTimeout(() => resolve(error), LOSS_TOLD_MS));
    return this.lost.over(soon).catch((loss: unknown) => loss);
  }

  close(): void {
    this.closed = true;
    this.device.destroy();
  }
}

function lostError(message: string): DeviceLostError {
  const why = message ? ` (${firstLine(message)})` : "";
  return new DeviceLostError(
    `The GPU was taken away while it worked${why}; make the video on the processor.`,
  );
}

/** An error of the runtime in one sentence about the stage that failed. */
export function stageError(component: string, stage: number, error: unknown): EngineError {
  if (error instanceof EngineError) return error;
  const text = firstLine(error);
  if (/bad_alloc|out of memory|allocation failed|memory access out of bounds|OOM/i.test(text))
    return new EngineError(
      `This device has too little memory for stage ${stage} of the component '${component}'; close other apps, or` +
        " make a smaller video.",
    );
  return new EngineError(
    `Stage ${stage} of the component '${component}' failed on this device (${text}); try a smaller video or export` +
      " the bundle again.",
  );
}

export type AnyTensor = Tensor | TypedTensor<Tensor.Type>;
