/** What each operation of a plan does. */

import type { Tensor } from "onnxruntime-web";
import { readLayout } from "../bundle/safetensors";
import { BundleError, EngineError } from "../errors";
import type {
  Decode,
  Denoise,
  EncodeImage,
  EncodeText,
  InputRef,
  LoadText,
  Noise,
  Op,
  OpRef,
  ZeroText,
} from "../manifest";
import { type Floats, release, round32, zeros } from "../numbers/arrays";
import { type Conditions, FlowModel, firstFrameGiven, sample, type TextFeatures } from "../numbers/flow";
import { type Frames, toFrames } from "../numbers/frames";
import { inside, mergeArrays } from "../numbers/merging";
import { preview } from "../numbers/preview";
import { cropAndResize } from "../numbers/resize";
import { normal } from "../numbers/rng";
import { planSigmas } from "../numbers/scheduling";
import { decodeTiled } from "../numbers/tiling";
import { floatTensor, letGo, takeFloats, toFloats, view, wholeTensor } from "../runtime/arrays";
import type { BundleFiles } from "../runtime/files";
import type { Runtime } from "../runtime/runtime";
import { PromptTokenizer } from "../text/tokenizer";
import { decodeInPieces, decodeWhole, encodeInPieces, givenChannels, runFloats } from "./coding";
import { parseSeed, type Resolved, type Values } from "./inputs";
import type { Networks } from "./networks";
import { decodePhoto } from "./photo";
import type { Watch } from "./watch";

/** One run: what ops have made so far, by id, and what they need. */
export interface State {
  readonly runtime: Runtime;
  readonly files: BundleFiles;
  readonly networks: Networks;
  readonly values: Values;
  readonly watch: Watch;
  readonly made: Map<string, Made>;
  evaluations: number;
  readonly leapSteps: Record<string, number | null>;
}

export type Made = Floats | TextFeatures | Frames | null;

type Literal = string | number | InputRef;

/** What an op makes; null where the app does the rest (write_video). */
export async function runOp(state: State, op: Op): Promise<Made> {
  switch (op.op) {
    case "encode_text":
      return encodeText(state, op);
    case "load_text":
      return loadText(state, op);
    case "zero_text":
      return zeroText(state, op);
    case "encode_image":
      return encodeImage(state, op);
    case "noise":
      return noise(state, op);
    case "denoise":
      return denoise(state, op);
    case "decode":
      return decode(state, op);
    case "write_video":
      return null;
  }
}

/** A literal, or the input that it names. */
function lookUp(state: State, literal: Literal): Resolved {
  return typeof literal === "object" ? (state.values[literal.input] as Resolved) : literal;
}

function numberOf(state: State, literal: number | InputRef): number {
  return lookUp(state, literal) as number;
}

function made<T extends Made>(state: State, reference: OpRef): T;
function made<T extends Made>(state: State, reference: OpRef | null | undefined): T | null;
function made<T extends Made>(state: State, reference: OpRef | null | undefined): T | null {
  return reference ? (state.made.get(reference.op) as T) : null;
}

async function encodeText(state: State, op: EncodeText): Promise<TextFeatures> {
  state.watch.report(0, 1);
  const component = state.networks.get(op.component);
  const { tokenizer: path, max_tokens: length = 0, pad_id: pad = 0 } = component.spec;
  const file = await state.files.read(path as string);
  const { ids, mask } = new PromptTokenizer(file, length, pad).encode(lookUp(state, op.text) as string);
  const shape = [1, length];
  const { ort } = state.runtime;
  const inputs = new Map<string, Tensor>([
    ["input_ids", wholeTensor(ort, ids, shape)],
    ["attention_mask", wholeTensor(ort, mask, shape)],
  ]);
  const outputs = await component.run(inputs, state.watch.pause);
  const context = await takeFloats(only(outputs, "context"));
  state.watch.report(1, 1);
  return { context, mask: { data: Float32Array.from(mask, Number), shape } };
}

async function loadText(state: State, op: LoadText): Promise<TextFeatures> {
  const bytes = await state.files.read(op.features);
  const { tensors } = readLayout(op.features, bytes, bytes.length);
  const [context, mask] = [tensors.get("context"), tensors.get("mask")];
  if (tensors.size !== 2 || context === undefined || mask === undefined)
    throw new BundleError(
      "The bundle's encoded prompt does not hold text features; export the bundle again.",
    );
  const [batch, length] = context.shape;
  if (context.shape.length !== 3 || batch !== 1 || mask.shape.join() !== `1,${length}`)
    throw new BundleError(
      `The bundle's encoded prompt has the shape [${context.shape}] and its mask [${mask.shape}], which do not fit` +
        " together; export the bundle again.",
    );
  state.watch.report(1, 1);
  const floats = (place: typeof context): Floats => ({
    data: toFloats(view(bytes.buffer, place) as Float32Array, place.type),
    shape: place.shape,
  });
  return { context: floats(context), mask: floats(mask) };
}

function zeroText(state: State, op: ZeroText): TextFeatures {
  const text = made<TextFeatures>(state, op.text);
  return { context: zeros(text.context.shape), mask: op.keep_mask ? text.mask : zeros(text.mask.shape) };
}

async function encodeImage(state: State, op: EncodeImage): Promise<Floats> {
  state.watch.report(0, 1);
  const photo = lookUp(state, op.image);
  const bytes =
    photo instanceof Uint8Array
      ? (photo as Uint8Array<ArrayBuffer>)
      : await state.files.read(photo as string);
  const image = toPlanes(cropAndResize(await decodePhoto(bytes), op.width, op.height));
  const first = state.networks.get(op.component);
  const { runtime, watch } = state;
  const latent =
    op.later === undefined
      ? await runFloats(runtime, first, { image }, "latent", watch.pause)
      : await encodeInPieces(
          runtime,
          first,
          state.networks.get(op.later.component),
          image,
          op.later.pieces,
          op.later.frames,
          watch.pause,
          (done, total) => {
            if (done < total) watch.report(done, total);
          },
        );
  watch.report(1, 1);
  return latent;
}

/** [H, W, 3] in [0, 1] to [1, 3, 1, H, W] in [-1, 1]. */
function toPlanes({ data, shape }: Floats): Floats {
  const [height, width] = shape as [number, number];
  const planes = zeros([1, 3, 1, height, width]);
  const area = height * width;
  for (let i = 0; i < area; i++)
    for (let channel = 0; channel < 3; channel++)
      planes.data[channel * area + i] = round32((data[i * 3 + channel] as number) * 2) - 1;
  return planes;
}

function noise(state: State, op: Noise): Floats {
  const result = normal(parseSeed(op.id, lookUp(state, op.seed)), op.shape);
  state.watch.report(1, 1);
  return result;
}

async function denoise(state: State, op: Denoise): Promise<Floats> {
  const { spec } = state.networks.get(op.component);
  const [noise, given] = [made<Floats>(state, op.noise), made<Floats>(state, op.latent)];
  const shape = ((noise ?? given) as Floats).shape as [number, number, number, number, number];
  const { schedule } = op;
  const steps = "steps" in schedule ? numberOf(state, schedule.steps) : null;
  const sigmas = planSigmas(schedule, steps);
  const firstFrame = made<Floats>(state, op.first_frame);
  checkShape("The first frame's latent", firstFrame, [shape[0], shape[1], 1, shape[3], shape[4]]);
  checkShape("The latent that is denoised", given, shape);
  const conditions: Conditions = {
    positive: made<TextFeatures>(state, op.positive),
    negative: made<TextFeatures>(state, op.negative),
    scale: numberOf(state, op.guidance),
    firstFrame,
    latent: given,
    keepFirstFrame: op.keep_first_frame ?? false,
    multiplier: schedule.multiplier,
  };
  const model = new FlowModel(velocitiesOf(state, op, conditions, shape), conditions, shape);
  const total = Math.max(sigmas.length - 1, 0);
  state.watch.report(0, total);
  const result = await sample(
    model,
    noise,
    sigmas,
    op.sampler,
    (step, denoised) =>
      state.watch.report(step + 1, total, preview(spec.latent_rgb, { data: denoised, shape })),
    op.leap ?? null,
    parseSeed(op.id, lookUp(state, op.renoise_seed ?? "0")),
  );
  state.evaluations += model.evaluations;
  if (op.leap !== undefined) state.leapSteps[op.id] = result.step;
  return result.latent;
}

/** The network of a denoise op, or its twin that merges tokens where the window says so. */
function velocitiesOf(
  state: State,
  op: Denoise,
  conditions: Conditions,
  shape: readonly [number, number, number, number, number],
): ConstructorParameters<typeof FlowModel>[0] {
  const { ort } = state.runtime;
  const { merge } = op;
  const tokens =
    merge === undefined
      ? null
      : mergeArrays(merge, [shape[2], shape[3], shape[4]], firstFrameGiven(conditions));
  const scalar = (value: number) => floatTensor(ort, { data: Float32Array.of(value), shape: [1] });
  const common = new Map<string, Tensor>([
    ["motion", scalar(numberOf(state, op.motion))],
    ["fps", scalar(op.frame_rate ?? 0)],
  ]);
  if (op.given !== undefined) {
    const channels = givenChannels(made<Floats>(state, op.given.latent), op.given.channels, shape);
    common.set("given", floatTensor(ort, channels));
  }
  const merged = new Map(common);
  for (const [name, { data, shape: sides }] of Object.entries(tokens ?? {}))
    merged.set(
      name,
      data instanceof Float32Array ? floatTensor(ort, { data, shape: sides }) : wholeTensor(ort, data, sides),
    );
  return async (latent, timestep, texts) => {
    // Frames that are not given have the sampler's own time.
    const sigma = Math.max(...timestep.data) / conditions.multiplier;
    const merges = merge !== undefined && tokens !== null && inside(merge, sigma);
    const feeds = texts.map(
      (text) =>
        new Map<string, Tensor>([
          ...(merges ? merged : common),
          ["latent", floatTensor(ort, latent)],
          ["timestep", floatTensor(ort, timestep)],
          ["context", floatTensor(ort, text.context)],
          ["context_mask", floatTensor(ort, text.mask)],
        ]),
    );
    const twin = merge?.component ?? null;
    const network = merges
      ? await state.networks.oneOf(merge.component, op.component)
      : await state.networks.oneOf(op.component, twin);
    const results: Float32Array[] = [];
    for (const outputs of await network.runEach(feeds, state.watch.pause)) {
      results.push((await takeFloats(only(outputs, "velocity"))).data);
    }
    return results;
  };
}

/** One output of a network, whose others are let go. */
function only(outputs: Map<string, Tensor>, name: string): Tensor {
  const wanted = outputs.get(name) as Tensor;
  outputs.delete(name);
  outputs.forEach(letGo);
  return wanted;
}

function checkShape(what: string, array: Floats | null, shape: readonly number[]): void {
  if (array !== null && array.shape.join() !== shape.join())
    throw new EngineError(
      `${what} has the shape [${array.shape.join(", ")}] and the video asks for [${shape.join(", ")}]; export the` +
        " bundle again.",
    );
}

async function decode(state: State, op: Decode): Promise<Frames> {
  const { runtime, watch } = state;
  watch.report(0, 1);
  const component = state.networks.get(op.component);
  // The end is told when the frames are there.
  const onTile = (done: number, total: number) => {
    if (done < total) watch.report(done, total);
  };
  const onPiece = op.tiles === undefined ? onTile : () => {};
  const one = (latent: Floats): Promise<Floats> =>
    op.next === undefined
      ? decodeWhole(runtime, component, latent, watch.pause)
      : decodeInPieces(runtime, component, state.networks.get(op.next), latent, watch.pause, onPiece);
  const latent = made<Floats>(state, op.latent);
  const video = op.tiles === undefined ? await one(latent) : await decodeTiled(latent, one, op.tiles, onTile);
  const frames = toFrames(video);
  release(video.data);
  watch.report(1, 1);
  return frames;
}
