/**
 * UniPC (arXiv:2302.04867) as ComfyUI runs it: multistep, third order, with the corrector, predicting x0.
 *
 * ComfyUI gives it a variance preserving process (alpha = 1 / sqrt(sigma^2 + 1)) whatever the model is, and
 * ends at sigma 0.001 instead of 0; a rectified flow then divides by 1 - 0.001. This file does the same in
 * the same order and in float32, because a desk's video and a phone's have to agree.
 */

import { EngineError } from "../errors";
import { addScaled, at, map, round32, scaled, subtract, zip } from "./arrays";
import type { Denoiser, Sampler } from "./samplers";

const END = round32(0.001);
const ORDER = 3;

/** UniPC with B(h) = h; at least 2 steps, else EngineError. */
export const uniPc: Sampler = (model, x, sigmas, callback) => sample(model, x, sigmas, callback, (h) => h);

/** UniPC with B(h) = e^h - 1; at least 2 steps, else EngineError. */
export const uniPcBh2: Sampler = (model, x, sigmas, callback) =>
  sample(model, x, sigmas, callback, (h) => round32(Math.expm1(h)));

/** Sigma and x0 of an evaluation. */
interface Evaluation {
  readonly sigma: number;
  readonly prediction: Float32Array;
}

async function sample(
  model: Parameters<Sampler>[0],
  x: Float32Array,
  sigmas: Float32Array,
  callback: Parameters<Sampler>[3],
  bOf: (h: number) => number,
): Promise<Float32Array> {
  const steps = sigmas.length - 1;
  if (steps < 2)
    throw new EngineError(
      `The sampler uni_pc takes at least 2 steps and has ${Math.max(steps, 0)}; use more or euler.`,
    );
  const times = sigmas.slice();
  const toZero = times[steps] === 0;
  if (toZero) times[steps] = END;

  /** x0 from the model, by way of its noise, as ComfyUI's wrapper goes. */
  const predict: Denoiser = async (place, sigma) => {
    const input = scaled(place, Math.sqrt(round32(round32(sigma * sigma) + 1)));
    const denoised = await model(input, sigma);
    const noise = zip(input, denoised, (a, b) => round32(a - b) / sigma);
    const [deviation, alpha] = [std(sigma), alphaOf(sigma)];
    return zip(place, noise, (a, b) => round32(a - round32(deviation * b)) / alpha);
  };

  const order = Math.min(ORDER, steps - 1);
  const start = at(times, 0);
  const root = round32(Math.sqrt(round32(1 + round32(start * start))));
  let state = map(x, (value) => value / root);
  let history: Evaluation[] = [{ sigma: start, prediction: await predict(state, start) }];
  callback(0, (history[0] as Evaluation).prediction);
  for (let step = 1; step <= steps; step++) {
    const last = step === steps;
    const stepOrder = step >= order ? Math.min(order, steps + 1 - step) : step;
    const made = await update(history, state, at(times, step), stepOrder, last ? null : predict, bOf);
    state = made.x;
    if (made.prediction !== null) {
      history = [...history, { sigma: at(times, step), prediction: made.prediction }].slice(-order);
      // ComfyUI's last callback comes after the end; the evaluation it shows is this one.
      callback(step, made.prediction);
    }
  }
  const alpha = alphaOf(at(times, -1));
  state = map(state, (value) => value / alpha);
  const rest = round32(1 - END);
  return toZero ? map(state, (value) => value / rest) : state;
}

/** x at `sigma` and, where `predict` is given, the evaluation there, by which x is then corrected. */
async function update(
  history: readonly Evaluation[],
  x: Float32Array,
  sigma: number,
  order: number,
  predict: Denoiser | null,
  bOf: (h: number) => number,
): Promise<{ x: Float32Array; prediction: Float32Array | null }> {
  const { sigma: sigma0, prediction: x0 } = history[history.length - 1] as Evaluation;
  const h = round32(lambda(sigma) - lambda(sigma0));
  const ratios: number[] = [];
  const slopes: Float32Array[] = [];
  for (let back = 2; back <= order; back++) {
    const earlier = history[history.length - back] as Evaluation;
    const ratio = round32(round32(lambda(earlier.sigma) - lambda(sigma0)) / h);
    ratios.push(ratio);
    slopes.push(zip(earlier.prediction, x0, (a, b) => round32(a - b) / ratio));
  }
  ratios.push(1);

  const phi1 = round32(Math.expm1(-h));
  const bh = bOf(-h);
  const rows: number[][] = [];
  const right: number[] = [];
  let phi = round32(round32(phi1 / -h) - 1);
  let factorial = 1;
  for (let power = 0; power < order; power++) {
    rows.push(ratios.map((ratio) => round32(ratio ** power)));
    right.push(round32(round32(phi * factorial) / bh));
    factorial *= power + 2;
    phi = round32(round32(phi / -h) - round32(1 / factorial));
  }

  const alpha = alphaOf(sigma);
  const kept = round32(std(sigma) / std(sigma0));
  const gained = round32(alpha * phi1);
  const straight = zip(x, x0, (a, b) => round32(kept * a) - round32(gained * b));
  const strength = round32(alpha * bh);
  let ahead: Float32Array = straight;
  if (slopes.length) {
    const weights =
      order === 2
        ? [0.5]
        : solve(
            rows.slice(0, -1).map((row) => row.slice(0, -1)),
            right.slice(0, -1),
          );
    ahead = subtract(straight, scaled(weighted(slopes, weights), strength));
  }
  if (predict === null) return { x: ahead, prediction: null };
  const prediction = await predict(ahead, sigma);
  const weights = order === 1 ? [0.5] : solve(rows, right);
  const residual = weighted([...slopes, subtract(prediction, x0)], weights);
  return { x: subtract(straight, scaled(residual, strength)), prediction };
}

function weighted(parts: readonly Float32Array[], weights: readonly number[]): Float32Array {
  let total = scaled(parts[0] as Float32Array, weights[0] as number);
  for (let i = 1; i < parts.length; i++)
    total = addScaled(total, parts[i] as Float32Array, weights[i] as number);
  return total;
}

/** The x with matrix x = right, by Gauss with row exchanges; at most 3 unknowns. */
function solve(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i] as number]);
  const n = rows.length;
  const cell = (row: number, column: number) => (rows[row] as number[])[column] as number;
  for (let column = 0; column < n; column++) {
    let pivot = column;
    for (let row = column; row < n; row++)
      if (Math.abs(cell(row, column)) > Math.abs(cell(pivot, column))) pivot = row;
    [rows[column], rows[pivot]] = [rows[pivot] as number[], rows[column] as number[]];
    for (let row = column + 1; row < n; row++) {
      const factor = cell(row, column) / cell(column, column);
      rows[row] = (rows[row] as number[]).map((value, i) => value - factor * cell(column, i));
    }
  }
  const found = new Array<number>(n).fill(0);
  for (let row = n - 1; row >= 0; row--) {
    let rest = cell(row, n);
    for (let column = row + 1; column < n; column++) rest -= cell(row, column) * (found[column] as number);
    found[row] = rest / cell(row, row);
  }
  return found.map(round32);
}

function logAlpha(sigma: number): number {
  return round32(0.5 * round32(Math.log(round32(1 / round32(round32(sigma * sigma) + 1)))));
}

function alphaOf(sigma: number): number {
  return round32(Math.exp(logAlpha(sigma)));
}

/** The signal's share, squared, taken from 1. */
function noiseShare(sigma: number): number {
  return round32(1 - round32(Math.exp(round32(2 * logAlpha(sigma)))));
}

function std(sigma: number): number {
  return round32(Math.sqrt(noiseShare(sigma)));
}

/** Half the log of the signal to noise ratio. */
function lambda(sigma: number): number {
  return round32(logAlpha(sigma) - round32(0.5 * round32(Math.log(noiseShare(sigma)))));
}
