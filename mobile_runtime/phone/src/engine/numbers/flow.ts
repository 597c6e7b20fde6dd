/**
 * From a network's velocity to a finished latent: ComfyUI's KSampler for a rectified flow (CONST).
 *
 * Noise goes in as sigma noise + (1 - sigma) latent; the network predicts v = noise - x0, so x0 = x - sigma
 * v. A given first frame follows ComfyUI's inpainting with a mask of 0 on frame 0: the network sees it clean
 * with timestep 0 (MobileI2V, per-token time), x0 holds it after every evaluation, and so the sampler carries
 * it to the end.
 */

import type { Denoise, Leap } from "../manifest.generated";
import { count, type Floats, round32, scaled, zeros, zip } from "./arrays";
import { combine, isOff } from "./guidance";
import { sampleWithLeap } from "./leaping";
import { renoising } from "./renoising";
import { type Callback, inverseScaled, SAMPLERS } from "./samplers";

/** What a prompt becomes: context [B, L, D] and mask [B, L]; 1 keeps a token. */
export interface TextFeatures {
  readonly context: Floats;
  readonly mask: Floats;
}

/** (latent [B, C, F, H, W], timestep [B, F], texts) -> for each text a velocity of the latent's shape. */
export type Velocities = (
  latent: Floats,
  timestep: Floats,
  texts: readonly TextFeatures[],
) => Promise<Float32Array[]>;

/** What a denoise op is given besides noise and schedule. */
export interface Conditions {
  readonly positive: TextFeatures;
  readonly negative: TextFeatures | null;
  readonly scale: number;
  /** A latent [B, C, 1, H, W]. */
  readonly firstFrame: Floats | null;
  /** What is denoised, from the middle of a schedule. */
  readonly latent: Floats | null;
  /** The latent's own frame 0 is held. */
  readonly keepFirstFrame: boolean;
  readonly multiplier: number;
}

/** True when frame 0 is held instead of made. */
export function firstFrameGiven(conditions: Conditions): boolean {
  return conditions.firstFrame !== null || conditions.keepFirstFrame;
}

/** `denoise(x, sigma)` gives x0 for samplers; `evaluations` counts network evaluations. */
export class FlowModel {
  evaluations = 0;
  /** What lies under the mask, and what the noise is added to. */
  readonly latentImage: Float32Array;
  private readonly held: boolean;

  constructor(
    private readonly velocities: Velocities,
    private readonly conditions: Conditions,
    readonly shape: readonly number[],
  ) {
    this.held = firstFrameGiven(conditions);
    this.latentImage = conditions.latent?.data.slice() ?? zeros(shape).data;
    if (conditions.firstFrame !== null) {
      const frame = this.frameSize;
      const given = conditions.firstFrame.data;
      this.firstFrames((begin, index) =>
        this.latentImage.set(given.subarray(index * frame, (index + 1) * frame), begin),
      );
    }
  }

  /** True when a step takes a second, unconditional evaluation. */
  get guided(): boolean {
    return this.conditions.negative !== null && !isOff(this.conditions.scale);
  }

  /** The denoised latent for x at sigma. */
  readonly denoise = async (x: Float32Array, sigma: number): Promise<Float32Array> => {
    const seen = this.withFirstFrame(x);
    const { positive, negative, scale, multiplier } = this.conditions;
    const [batch, , frames] = this.shape as [number, number, number];
    const time = round32(sigma * round32(multiplier));
    const timestep: Floats = {
      data: Float32Array.from({ length: batch * frames }, (_, i) =>
        this.held && i % frames === 0 ? 0 : time,
      ),
      shape: [batch, frames],
    };
    // Both prompts at once, so that a network that is streamed is fetched once.
    const texts = this.guided && negative !== null ? [positive, negative] : [positive];
    this.evaluations += texts.length;
    const found = (await this.velocities({ data: seen, shape: this.shape }, timestep, texts)).map(
      (velocity) => zip(seen, velocity, (a, b) => a - round32(b * sigma)),
    );
    const [first, second] = found as [Float32Array, Float32Array | undefined];
    return this.withFirstFrame(second === undefined ? first : combine(first, second, scale));
  };

  private withFirstFrame(x: Float32Array): Float32Array {
    if (!this.held) return x;
    const result = x.slice();
    const frame = this.frameSize;
    this.firstFrames((begin) => result.set(this.latentImage.subarray(begin, begin + frame), begin));
    return result;
  }

  private get frameSize(): number {
    return count(this.shape.slice(3));
  }

  /** Call with where frame 0 of every channel begins. */
  private firstFrames(visit: (begin: number, index: number) => void): void {
    const [batch, channels, frames] = this.shape as [number, number, number];
    for (let index = 0; index < batch * channels; index++) visit(index * frames * this.frameSize, index);
  }
}

/**
 * Run a sampler from noise along sigmas; the latent, and the step that it leapt at.
 *
 * No noise is noise of zeros: a latent that still holds its own goes on. An empty schedule gives what there
 * was before: the latent, else zeros, and the first frame where one is given. `renoiseSeed` is read by the
 * sampler that adds fresh noise alone.
 */
export async function sample(
  model: FlowModel,
  noise: Floats | null,
  sigmas: Float32Array,
  sampler: Denoise["sampler"],
  callback: Callback,
  leap: Leap | null,
  renoiseSeed = 0n,
): Promise<{ latent: Floats; step: number | null }> {
  if (sigmas.length === 0) return { latent: { data: model.latentImage, shape: model.shape }, step: null };
  const sigma = sigmas[0] as number;
  let x: Float32Array = scaled(model.latentImage, round32(1 - sigma));
  if (noise !== null) x = zip(noise.data, x, (a, b) => round32(sigma * a) + b);
  const run = sampler === "renoise" ? renoising(renoiseSeed, model.shape) : SAMPLERS[sampler];
  const made =
    leap === null
      ? { x: await run(model.denoise, x, sigmas, callback), step: null }
      : await sampleWithLeap(run, leap, model.denoise, x, sigmas, callback);
  const end = sigmas[sigmas.length - 1] as number;
  return { latent: { data: inverseScaled(made.x, end), shape: model.shape }, step: made.step };
}
