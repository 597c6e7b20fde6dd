/**
 * Few-step sampling with fresh noise, for distilled students (SF-V, arXiv:2406.04324; DMD2, 2405.14867).
 *
 * Every step predicts the clean latent and noises it anew for the next sigma, in the arithmetic of ComfyUI's
 * lcm for a rectified flow. The noise of a step is the next draw of torch's CPU generator seeded with seed +
 * 1.
 */

import { at, round32, zip } from "./arrays";
import { MAX_SEED, NormalStream } from "./rng";
import type { Sampler } from "./samplers";

/** The sampler of one run: a seed of 0 to 2^64-1 and the latent's shape [B, C, F, H, W]. */
export function renoising(seed: bigint, shape: readonly number[]): Sampler {
  return async (model, x, sigmas, callback) => {
    const noise = new NormalStream((seed + 1n) % (MAX_SEED + 1n), shape);
    let state = x;
    for (let i = 0; i + 1 < sigmas.length; i++) {
      state = await model(state, at(sigmas, i));
      callback(i, state);
      const following = at(sigmas, i + 1);
      if (following <= 0) continue;
      const kept = round32(1 - following);
      state = zip(noise.draw(), state, (fresh, clean) => round32(following * fresh) + round32(kept * clean));
    }
    return state;
  };
}
