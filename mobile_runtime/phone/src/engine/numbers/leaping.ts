/**
 * Linear Proportional Leap (On-device Sora, arXiv:2502.04363, section 4) around a sampler.
 *
 * The drift d = (x - denoised) / sigma is compared with the step before; once the controller says that it has
 * stopped turning, the inner sampler is left and the denoised prediction returned.
 */

import type { Leap } from "../manifest.generated";
import { addScaled, at } from "./arrays";
import { LeapController } from "./leap";
import { type Callback, type Denoiser, drift, type Sampler } from "./samplers";

/** Leaves the inner sampler with what the leap gives. */
class Leapt {
  constructor(readonly result: Float32Array) {}
}

/** Cosine of the angle between two arrays as flat vectors, summed in double; 1 where one is all zeros. */
export function cosineSimilarity(a: Float32Array, b: Float32Array): number {
  let [product, first, second] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] as number, b[i] as number];
    product += x * y;
    first += x * x;
    second += y * y;
  }
  const size = Math.sqrt(first) * Math.sqrt(second);
  return size === 0 ? 1 : product / size;
}

/**
 * Run `sampler` for one video until it leaps.
 *
 * Gives the latent at the last sigma, and the step of the leap, counted from 0, or null; without a leap the
 * latent is the sampler's own. The callback is told of every step, and at a leap of the last one.
 */
export async function sampleWithLeap(
  sampler: Sampler,
  config: Leap,
  model: Denoiser,
  x: Float32Array,
  sigmas: Float32Array,
  callback: Callback,
): Promise<{ x: Float32Array; step: number | null }> {
  const total = sigmas.length - 1;
  const controller = new LeapController(config, total);
  // The model's own prediction: what a sampler reports may have gone through its arithmetic (uni_pc).
  let evaluated: { x: Float32Array; sigma: number; denoised: Float32Array } | null = null;
  let before: Float32Array | null = null;
  let leapt: number | null = null;

  const watched: Denoiser = async (state, sigma) => {
    const denoised = await model(state, sigma);
    evaluated = { x: state, sigma, denoised };
    return denoised;
  };

  const onStep: Callback = (step, shown) => {
    if (evaluated === null) throw new TypeError("a step without an evaluation");
    const { x: there, sigma, denoised } = evaluated;
    const slope = drift(there, denoised, sigma);
    const similarity = before === null ? null : cosineSimilarity(slope, before);
    before = slope;
    if (!controller.observe(step, similarity)) {
      callback(step, shown);
      return;
    }
    leapt = step;
    callback(total - 1, denoised);
    const end = at(sigmas, -1);
    throw new Leapt(end === 0 ? denoised : addScaled(there, slope, end - sigma));
  };

  try {
    return { x: await sampler(watched, x, sigmas, onStep), step: leapt };
  } catch (error) {
    if (error instanceof Leapt) return { x: error.result, step: leapt };
    throw error;
  }
}
