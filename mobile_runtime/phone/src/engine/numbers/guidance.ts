/** Classifier-free guidance (arXiv:2207.12598), on denoised latents as ComfyUI combines them. */

import { round32, zip } from "./arrays";

/** negative + (positive - negative) x scale. */
export function combine(positive: Float32Array, negative: Float32Array, scale: number): Float32Array {
  const factor = round32(scale);
  return zip(positive, negative, (a, b) => b + round32(round32(a - b) * factor));
}

/** True when guidance changes nothing, so that the unconditional evaluation is saved; ComfyUI's test. */
export function isOff(scale: number): boolean {
  return Math.abs(scale - 1) <= 1e-9 * Math.max(Math.abs(scale), 1);
}
