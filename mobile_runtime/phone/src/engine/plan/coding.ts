/**
 * Latent to video and a photo to a latent, through networks that take all at once or go from piece to piece.
 *
 * A network in pieces is two components with the same weights: one for the first latent frame and one for
 * every later frame. Each gives, beside its result, what the next piece needs of what came before; the names
 * of these outputs are those of the inputs that take them.
 */

import type { Tensor } from "onnxruntime-web";
import { EngineError } from "../errors";
import { concatenate, count, type Floats, release, slice, zeros } from "../numbers/arrays";
import { normal } from "../numbers/rng";
import { floatTensor, letGo, takeFloats } from "../runtime/arrays";
import type { Check, Component } from "../runtime/component";
import type { Runtime } from "../runtime/runtime";

/** What a decoder is given that wants noise in its latent; ComfyUI draws it anew at every run. */
const NOISE_SEED = 0n;
/** (pieces done, pieces in all) */
export type Progress = (done: number, total: number) => void;

/** One output of a component that takes floats. */
export async function runFloats(
  runtime: Runtime,
  component: Component,
  inputs: Readonly<Record<string, Floats>>,
  output: string,
  check: Check,
): Promise<Floats> {
  return (await runPiece(runtime, component, inputs, new Map(), output, check)).result;
}

/** Frames [1, 3, T, H, W] of a latent [1, C, F, h, w]. */
export function decodeWhole(
  runtime: Runtime,
  component: Component,
  latent: Floats,
  check: Check,
): Promise<Floats> {
  const noise = component.spec.inputs.includes("noise") ? { noise: normal(NOISE_SEED, latent.shape) } : {};
  return runFloats(runtime, component, { latent, ...noise }, "frames", check);
}

/** The same, one latent frame at a time. */
export async function decodeInPieces(
  runtime: Runtime,
  first: Component,
  later: Component,
  latent: Floats,
  check: Check,
  progress: Progress,
): Promise<Floats> {
  const [batch, channels, frames, height, width] = latent.shape as [number, number, number, number, number];
  const pieces: Floats[] = [];
  let carried: Map<string, Tensor> = new Map();
  try {
    for (let index = 0; index < frames; index++) {
      const piece = slice(latent, [0, 0, index, 0, 0], [batch, channels, index + 1, height, width]);
      const network = index ? later : first;
      const made = await runPiece(runtime, network, { latent: piece }, carried, "frames", check);
      pieces.push(made.result);
      carried = made.carried;
      progress(index + 1, frames);
    }
  } finally {
    carried.forEach(letGo);
  }
  return join(pieces);
}

/** The latent [1, C, 1 + pieces, h, w] of an image [1, 3, 1, H, W] that grey frames follow. */
export async function encodeInPieces(
  runtime: Runtime,
  first: Component,
  later: Component,
  image: Floats,
  pieces: number,
  frames: number,
  check: Check,
  progress: Progress,
): Promise<Floats> {
  let { result, carried } = await runPiece(runtime, first, { image }, new Map(), "latent", check);
  const latents = [result];
  // The middle between black and white, as ComfyUI fills up a clip.
  const grey = zeros([1, 3, frames, ...image.shape.slice(3)]);
  try {
    for (let piece = 0; piece < pieces; piece++) {
      progress(piece + 1, pieces + 1);
      ({ result, carried } = await runPiece(runtime, later, { image: grey }, carried, "latent", check));
      latents.push(result);
    }
  } finally {
    carried.forEach(letGo);
  }
  return join(latents);
}

/**
 * What a network reads besides its latent of this shape: a mask, 1 in frame 0, then an encoded clip.
 *
 * Zeros where there is none. Throws EngineError for a clip of another size.
 */
export function givenChannels(latent: Floats | null, channels: number, shape: readonly number[]): Floats {
  const given = zeros([shape[0] as number, channels, ...shape.slice(2)]);
  if (latent === null) return given;
  const mask = channels - (latent.shape[1] as number);
  const fits = latent.shape.slice(2).every((side, axis) => side === shape[axis + 2]);
  if (mask < 0 || !fits)
    throw new EngineError(
      `The picture's latent has the shape [${latent.shape.join(", ")}], which does not fit a video of` +
        ` [${shape.join(", ")}] with ${channels} given channels; export the bundle again.`,
    );
  const [clip, frame] = [count(shape.slice(2)), count(shape.slice(3))];
  for (let channel = 0; channel < mask; channel++) given.data.fill(1, channel * clip, channel * clip + frame);
  given.data.set(latent.data, mask * clip);
  return given;
}

/** Pieces one after the other in time; they are used up. */
function join(pieces: readonly Floats[]): Floats {
  const whole = concatenate(pieces, 2);
  for (const { data } of pieces) release(data);
  return whole;
}

/** One run; `carried` tensors of the piece before are let go, and what the next one needs is given. */
async function runPiece(
  runtime: Runtime,
  component: Component,
  inputs: Readonly<Record<string, Floats>>,
  carried: ReadonlyMap<string, Tensor>,
  output: string,
  check: Check,
): Promise<{ result: Floats; carried: Map<string, Tensor> }> {
  const fed = new Map(carried);
  for (const [name, floats] of Object.entries(inputs)) fed.set(name, floatTensor(runtime.ort, floats));
  const made = await component.run(fed, check);
  carried.forEach(letGo);
  const tensor = made.get(output);
  if (tensor === undefined)
    throw new EngineError(`The component '${component.name}' makes no '${output}'; export the bundle again.`);
  made.delete(output);
  return { result: await takeFloats(tensor), carried: made };
}
