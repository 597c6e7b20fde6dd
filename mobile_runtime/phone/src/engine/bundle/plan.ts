/**
 * Checks that a plan adds up: single assignment, values of the kind each op needs, inputs within bounds.
 *
 * The schema has already checked the shape of each op; this module knows nothing of files or of running.
 */

import { BundleError } from "../errors";
import type { Component, Denoise, Input, Manifest, Op } from "../manifest";
import { count } from "../numbers/arrays";
import { MAX_SEED } from "../numbers/rng";

const MAX_LATENT_ELEMENTS = 2 ** 28;

/** What each op makes, and what its references must be. */
export const RESULT: Readonly<Record<Op["op"], string>> = {
  encode_text: "text features",
  load_text: "text features",
  zero_text: "text features",
  encode_image: "latent",
  noise: "noise",
  denoise: "latent",
  decode: "frames",
  write_video: "video",
};
const OPERANDS: Readonly<Partial<Record<Op["op"], Readonly<Record<string, string>>>>> = {
  zero_text: { text: "text features" },
  denoise: {
    noise: "noise",
    latent: "latent",
    positive: "text features",
    negative: "text features",
    first_frame: "latent",
    given: "latent",
  },
  decode: { latent: "latent" },
  write_video: { frames: "frames" },
};
/** The types of input that may stand for a field. */
const INPUTS: Readonly<Record<string, readonly Input["type"][]>> = {
  text: ["text"],
  image: ["image"],
  seed: ["seed"],
  renoise_seed: ["seed"],
  steps: ["integer"],
  guidance: ["number", "integer"],
  motion: ["number", "integer"],
};

type Fields = Readonly<Record<string, unknown>>;

/** Throw BundleError naming the first op or input that does not add up. */
export function checkPlan(manifest: Manifest): void {
  for (const [name, spec] of Object.entries(manifest.inputs)) checkInput(name, spec);
  const made = new Map<string, string>();
  for (const op of manifest.plan) {
    const where = `The op '${op.id}' (${op.op})`;
    if (made.has(op.id))
      throw new BundleError(`${where} uses an id that an earlier op has; give every op an id of its own.`);
    checkComponents(manifest, op, where);
    checkOperands(op, made, where);
    checkInputs(manifest, op, where);
    if (op.op === "noise") checkNoise(op.shape, op.seed, where);
    if (op.op === "denoise") checkDenoise(op, where);
    if (op.op === "decode" && op.tiles?.size.some((size, axis) => (op.tiles?.overlap[axis] ?? 0) >= size))
      throw new BundleError(`${where} has tiles that overlap by their whole size; overlap them less.`);
    made.set(op.id, RESULT[op.op]);
  }
  const videos = [...made.values()].filter((kind) => kind === "video").length;
  // Without a plan a bundle only carries networks, to be tested and measured.
  if (manifest.plan.length && videos !== 1)
    throw new BundleError(
      `The plan writes ${videos} videos and must write one; end it with one write_video op.`,
    );
}

function checkInput(name: string, spec: Input): void {
  if (spec.type === "text") {
    if ([...spec.default].length > spec.max_length)
      throw new BundleError(`The default of the input '${name}' is longer than its max_length; shorten it.`);
  } else if (spec.type === "seed") {
    checkSeed(spec.default, `The input '${name}'`);
  } else if (spec.type !== "image" && !(spec.minimum <= spec.default && spec.default <= spec.maximum)) {
    throw new BundleError(
      `The default of the input '${name}' is not between its minimum and maximum; correct the bounds.`,
    );
  }
}

function checkComponents(manifest: Manifest, op: Op, where: string): void {
  const check = (name: string | undefined, kind: Component["kind"]) => {
    if (name === undefined) return;
    const component = Object.hasOwn(manifest.components, name) ? manifest.components[name] : undefined;
    if (component === undefined)
      throw new BundleError(
        `${where} names the component '${name}', which the manifest lacks; export it again.`,
      );
    if (component.kind !== kind)
      throw new BundleError(
        `${where} needs a ${kind} and '${name}' is a ${component.kind}; name the right one.`,
      );
  };
  switch (op.op) {
    case "encode_text":
      check(op.component, "text_encoder");
      break;
    case "encode_image":
      check(op.component, "vae_encoder");
      check(op.later?.component, "vae_encoder");
      break;
    case "denoise":
      check(op.component, "denoiser");
      check(op.merge?.component, "denoiser");
      break;
    case "decode":
      check(op.component, "vae_decoder");
      check(op.next, "vae_decoder");
      break;
  }
}

function checkOperands(op: Op, made: ReadonlyMap<string, string>, where: string): void {
  for (const [field, kind] of Object.entries(OPERANDS[op.op] ?? {})) {
    const value = (op as unknown as Fields)[field];
    const reference = (field === "given" ? (value as Fields | undefined)?.latent : value) as
      | { op: string }
      | null
      | undefined;
    if (reference === undefined || reference === null) continue;
    const found = made.get(reference.op);
    if (found === undefined)
      throw new BundleError(`${where} uses '${reference.op}', which no earlier op makes; reorder the plan.`);
    if (found !== kind)
      throw new BundleError(`${where} needs ${kind} as ${field} and '${reference.op}' makes ${found}.`);
  }
}

function checkInputs(manifest: Manifest, op: Op, where: string): void {
  const fields: Fields = op.op === "denoise" ? { ...op, ...op.schedule } : { ...op };
  for (const [field, types] of Object.entries(INPUTS)) {
    const value = fields[field];
    if (typeof value !== "object" || value === null || !("input" in value)) continue;
    const name = value.input as string;
    const spec = Object.hasOwn(manifest.inputs, name) ? manifest.inputs[name] : undefined;
    if (spec === undefined)
      throw new BundleError(`${where} uses the input '${name}', which the manifest lacks; export again.`);
    if (!types.includes(spec.type))
      throw new BundleError(
        `${where} needs an input of type ${types[0]} as ${field}, and '${name}' is of type ${spec.type}; export again.`,
      );
    if (field === "steps" && spec.type === "integer" && !(1 <= spec.minimum && spec.maximum <= 1000))
      throw new BundleError(`The input '${name}' sets steps, so its bounds must lie within 1 to 1000.`);
  }
}

function checkNoise(shape: readonly number[], seed: unknown, where: string): void {
  if (shape[0] !== 1)
    throw new BundleError(
      `${where} asks for a batch of ${shape[0]} and a device makes one video; set it to 1.`,
    );
  if (count(shape) > MAX_LATENT_ELEMENTS)
    throw new BundleError(
      `${where} asks for ${count(shape)} elements and the limit is ${MAX_LATENT_ELEMENTS}; ask for a smaller video.`,
    );
  if (typeof seed === "string") checkSeed(seed, where);
}

function checkDenoise(op: Denoise, where: string): void {
  const latent = op.latent ?? null;
  if (latent === null && op.noise === null)
    throw new BundleError(`${where} has neither noise nor a latent to begin with; give it one of them.`);
  if (latent !== null && op.first_frame !== null)
    throw new BundleError(
      `${where} has a latent and a first frame; the frame is in the latent, so set keep_first_frame.`,
    );
  if (latent === null && op.keep_first_frame)
    throw new BundleError(`${where} keeps the first frame of a latent that it does not have; give it one.`);
  const { schedule } = op;
  if (
    schedule.name === "manual" &&
    schedule.sigmas.some((sigma, i) => i > 0 && sigma >= (schedule.sigmas[i - 1] as number))
  )
    throw new BundleError(`${where} has sigmas that do not fall from step to step; correct them.`);
  if (schedule.end !== undefined && schedule.end <= (schedule.start ?? 0))
    throw new BundleError(`${where} ends its schedule where it starts; give it at least one step.`);
}

function checkSeed(seed: string, where: string): void {
  if (BigInt(seed) > MAX_SEED)
    throw new BundleError(`${where} has a seed above 2^64-1; choose a smaller one.`);
}
