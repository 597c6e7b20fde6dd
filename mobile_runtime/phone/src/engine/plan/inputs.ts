/** The values that a user may edit: typed, bounded, and completed with the bundle's defaults. */

import type { InputValue } from "../api";
import { InputError } from "../errors";
import type { Input, Manifest } from "../manifest";
import { MAX_SEED } from "../numbers/rng";
import { checkPhoto, MAX_BYTES } from "./photo";

/** A value ready to use: a photo is its bytes, a seed a bigint. */
export type Resolved = string | number | bigint | Uint8Array<ArrayBuffer>;
export type Values = Readonly<Record<string, Resolved>>;

/**
 * Every input of the bundle with its value; `read` gives the bytes of a file of the bundle.
 *
 * Throws InputError naming the input, what is wrong and what is allowed.
 */
export async function resolveInputs(
  manifest: Manifest,
  given: Readonly<Record<string, InputValue>>,
  read: (path: string) => Promise<Uint8Array<ArrayBuffer>>,
): Promise<Values> {
  const names = Object.keys(manifest.inputs);
  const unknown = Object.keys(given)
    .filter((name) => !names.includes(name))
    .sort()[0];
  if (unknown !== undefined)
    throw new InputError(
      `The bundle has no input '${unknown}'; its inputs are: ${names.join(", ") || "none"}.`,
    );
  const resolved: Record<string, Resolved> = {};
  for (const [name, spec] of Object.entries(manifest.inputs))
    resolved[name] = await resolve(name, spec, given[name], read);
  return resolved;
}

/** Resolved values as JSON can hold them: seeds as decimal strings, photos by digest. */
export async function describeInputs(values: Values): Promise<Record<string, string | number>> {
  const told: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(values))
    told[name] = value instanceof Uint8Array ? `sha256:${await digest(value)}` : jsonOf(value);
  return told;
}

function jsonOf(value: string | number | bigint): string | number {
  return typeof value === "bigint" ? value.toString() : value;
}

async function digest(data: Uint8Array<ArrayBuffer>): Promise<string> {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", data));
  return Array.from(hash, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function resolve(
  name: string,
  spec: Input,
  given: InputValue | null | undefined,
  read: (path: string) => Promise<Uint8Array<ArrayBuffer>>,
): Promise<Resolved> {
  const value = given ?? spec.default;
  switch (spec.type) {
    case "text":
      return text(name, value, spec.max_length);
    case "seed":
      return parseSeed(name, value);
    case "image": {
      const photo =
        given === undefined || given === null ? await read(spec.default) : await photoBytes(name, given);
      checkPhoto(photo);
      return photo;
    }
    default:
      return bounded(name, value, spec.type === "integer", spec.minimum, spec.maximum);
  }
}

function bounded(name: string, value: unknown, whole: boolean, minimum: number, maximum: number): number {
  if (typeof value !== "number" || (whole && Number.isFinite(value) && !Number.isInteger(value)))
    throw new InputError(
      `The input '${name}' must be ${whole ? "a whole number" : "a number"} and is ${kindOf(value)}.`,
    );
  if (!(Number.isFinite(value) && minimum <= value && value <= maximum))
    throw new InputError(`The input '${name}' is ${value} and must lie between ${minimum} and ${maximum}.`);
  return value;
}

/** A seed given as a bigint, a whole number or a decimal string. Throws InputError. */
export function parseSeed(name: string, value: unknown): bigint {
  let seed: bigint | null = null;
  if (typeof value === "bigint") seed = value;
  else if (typeof value === "number" && Number.isSafeInteger(value)) seed = BigInt(value);
  else if (typeof value === "string" && /^[0-9]{1,20}$/.test(value)) seed = BigInt(value);
  if (seed === null || seed < 0n || seed > MAX_SEED)
    throw new InputError(`The input '${name}' must be a whole number from 0 to 2^64-1.`);
  return seed;
}

function text(name: string, value: unknown, most: number): string {
  if (typeof value !== "string")
    throw new InputError(`The input '${name}' must be a text and is ${kindOf(value)}.`);
  // Counted as the desk counts: an emoji is one character.
  const length = [...value].length;
  if (length > most)
    throw new InputError(`The input '${name}' has ${length} characters and may have ${most}; shorten it.`);
  if (!value.isWellFormed())
    throw new InputError(`The input '${name}' holds a broken character; type it again.`);
  return value;
}

async function photoBytes(name: string, value: unknown): Promise<Uint8Array<ArrayBuffer>> {
  const size = value instanceof Blob ? value.size : value instanceof Uint8Array ? value.length : null;
  if (size === null)
    throw new InputError(`The input '${name}' must be a photo (its bytes) and is ${kindOf(value)}.`);
  if (size > MAX_BYTES)
    throw new InputError(
      `The photo for '${name}' has ${size} bytes and the limit is ${MAX_BYTES}; choose a smaller one.`,
    );
  return value instanceof Blob
    ? new Uint8Array(await value.arrayBuffer())
    : new Uint8Array(value as Uint8Array);
}

function kindOf(value: unknown): string {
  if (value === null) return "nothing";
  if (value instanceof Blob || value instanceof Uint8Array) return "a file";
  return (
    { string: "a text", number: "a number", bigint: "a whole number", boolean: "yes or no" }[
      typeof value as string
    ] ?? `of the type ${typeof value}`
  );
}
