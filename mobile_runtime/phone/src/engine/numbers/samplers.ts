/**
 * Samplers: functions with k-diffusion's signature (model, x, sigmas, callback) -> x.
 *
 * `model(x, sigma)` gives the denoised latent (x0), guidance included. `callback` is told (step, x0) after
 * each step's own evaluation, before any further one. Arithmetic is in float32 and in ComfyUI's order, so
 * that a phone's latent is the desk's; golden vectors hold them together. A later sampler is one more
 * function and one more line in SAMPLERS. A latent is the row of its numbers: no sampler looks at its shape.
 */

import type { Denoise } from "../manifest.generated";
import { addScaled, at, round32, scaled, subtract, zip } from "./arrays";
import { uniPc, uniPcBh2 } from "./uniPc";

export type Denoiser = (x: Float32Array, sigma: number) => Promise<Float32Array>;
export type Callback = (step: number, denoised: Float32Array) => void;
export type Sampler = (
  model: Denoiser,
  x: Float32Array,
  sigmas: Float32Array,
  callback: Callback,
) => Promise<Float32Array>;

/** (x - denoised) / sigma, the direction in which noise lies. */
export function drift(x: Float32Array, denoised: Float32Array, sigma: number): Float32Array {
  return zip(x, denoised, (a, b) => round32(a - b) / sigma);
}

const log = (value: number) => round32(Math.log(value));
const exp = (value: number) => round32(Math.exp(value));
const expm1 = (value: number) => round32(Math.expm1(value));

/** Algorithm 2 (Euler steps) of Karras et al. (2022), without churn. */
const euler: Sampler = async (model, x, sigmas, callback) => {
  let state = x;
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const denoised = await model(state, at(sigmas, i));
    const slope = drift(state, denoised, at(sigmas, i));
    callback(i, denoised);
    state = addScaled(state, slope, at(sigmas, i + 1) - at(sigmas, i));
  }
  return state;
};

/** Algorithm 2 (Heun steps) of Karras et al. (2022), no churn: two evaluations a step but the last. */
const heun: Sampler = async (model, x, sigmas, callback) => {
  let state = x;
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [sigma, next] = [at(sigmas, i), at(sigmas, i + 1)];
    const denoised = await model(state, sigma);
    const slope = drift(state, denoised, sigma);
    callback(i, denoised);
    const width = round32(next - sigma);
    const ahead = addScaled(state, slope, width);
    if (next === 0) {
      state = ahead;
      continue;
    }
    const slopeAhead = drift(ahead, await model(ahead, next), next);
    const mean = zip(slope, slopeAhead, (a, b) => round32(a + b) / 2);
    state = addScaled(state, mean, width);
  }
  return state;
};

/** DPM-Solver-2 (arXiv:2206.00927): a midpoint in log sigma; two evaluations a step but the last. */
const dpm2: Sampler = async (model, x, sigmas, callback) => {
  let state = x;
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const [sigma, next] = [at(sigmas, i), at(sigmas, i + 1)];
    const denoised = await model(state, sigma);
    const slope = drift(state, denoised, sigma);
    callback(i, denoised);
    if (next === 0) {
      state = addScaled(state, slope, next - sigma);
      continue;
    }
    const start = log(sigma);
    const middle = exp(round32(start + round32(0.5 * round32(log(next) - start))));
    const halfway = addScaled(state, slope, middle - sigma);
    const slopeThere = drift(halfway, await model(halfway, middle), middle);
    state = addScaled(state, slopeThere, next - sigma);
  }
  return state;
};

/** DPM-Solver++(2M) of arXiv:2211.01095: second order from the step before, one evaluation a step. */
const dpmpp2m: Sampler = async (model, x, sigmas, callback) => {
  let state = x;
  let before: Float32Array | null = null;
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const denoised = await model(state, at(sigmas, i));
    callback(i, denoised);
    if (at(sigmas, i + 1) === 0) {
      state = denoised;
      continue;
    }
    const [t, tNext] = [-log(at(sigmas, i)), -log(at(sigmas, i + 1))];
    const h = round32(tNext - t);
    let toward = denoised;
    if (before !== null) {
      const ratio = round32(round32(t + log(at(sigmas, i - 1))) / h);
      const share = round32(1 / round32(2 * ratio));
      const own = round32(1 + share);
      toward = zip(denoised, before, (a, b) => round32(own * a) - round32(share * b));
    }
    const kept = round32(exp(-tNext) / exp(-t));
    const gained = expm1(-h);
    state = zip(state, toward, (a, b) => round32(kept * a) - round32(gained * b));
    before = denoised;
  }
  return state;
};

/** The second order multistep method of arXiv:2308.02157 without noise; one evaluation a step. */
const resMultistep: Sampler = async (model, x, sigmas, callback) => {
  let state = x;
  let before: Float32Array | null = null;
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const denoised = await model(state, at(sigmas, i));
    callback(i, denoised);
    if (before === null || at(sigmas, i + 1) === 0) {
      const slope = drift(state, denoised, at(sigmas, i));
      state = addScaled(state, slope, at(sigmas, i + 1) - at(sigmas, i));
    } else {
      const [t, tBefore] = [-log(at(sigmas, i)), -log(at(sigmas, i - 1))];
      const h = round32(-log(at(sigmas, i + 1)) - t);
      const c2 = round32(round32(tBefore - t) / h);
      const phi1 = round32(expm1(-h) / -h);
      const phi2 = round32(round32(phi1 - 1) / -h);
      const [own, earlier] = [round32(phi1 - round32(phi2 / c2)), round32(phi2 / c2)];
      const gained = zip(denoised, before, (a, b) => round32(own * a) + round32(earlier * b));
      const kept = exp(-h);
      state = zip(state, gained, (a, b) => round32(kept * a) + round32(h * b));
    }
    before = denoised;
  }
  return state;
};

/** Gradient estimation (openreview o2ND9v0CeK) with gamma 2: Euler, corrected by how the drift changed. */
const gradientEstimation: Sampler = async (model, x, sigmas, callback) => {
  let state = x;
  let before: Float32Array | null = null;
  for (let i = 0; i + 1 < sigmas.length; i++) {
    const denoised = await model(state, at(sigmas, i));
    const slope = drift(state, denoised, at(sigmas, i));
    callback(i, denoised);
    if (at(sigmas, i + 1) === 0) {
      state = denoised;
    } else {
      const width = round32(at(sigmas, i + 1) - at(sigmas, i));
      state = addScaled(state, slope, width);
      if (before !== null) state = addScaled(state, subtract(slope, before), width);
    }
    before = slope;
  }
  return state;
};

/** Samplers that need nothing of a run; the one that draws fresh noise is made for each (renoising.ts). */
export const SAMPLERS: Readonly<Record<Exclude<Denoise["sampler"], "renoise">, Sampler>> = {
  euler,
  heun,
  dpm_2: dpm2,
  dpmpp_2m: dpmpp2m,
  res_multistep: resMultistep,
  gradient_estimation: gradientEstimation,
  // ComfyUI's ddim is its euler with other noise under a mask, which no flow model of ours looks at.
  ddim: euler,
  uni_pc: uniPc,
  uni_pc_bh2: uniPcBh2,
};

/** x / (1 - sigma): what a rectified flow does to a sampler's result. */
export function inverseScaled(x: Float32Array, sigma: number): Float32Array {
  const rest = round32(1 - sigma);
  return rest === 1 ? scaled(x, 1) : zip(x, x, (a) => a / rest);
}
