/** A compiled WebAssembly module in which bodies of functions are found and replaced. */

import { createHash } from "node:crypto";
import { unsigned } from "./assembler.ts";

const CODE = 10;
const I32 = 0x7f;
const V128 = 0x7b;
/** The magic number and the version. */
const HEADER_BYTES = 8;

/** A part of a module's bytes. */
interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * The module with other bodies in place of those with these digests (SHA-256, hex).
 *
 * Nothing else in a module points into its code, so bodies may have any length. Throws an Error naming a
 * digest that not exactly one function has.
 */
export function withBodies(module: Uint8Array, bodies: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const section = codeSection(module);
  const parts = functionBodies(module, section.content).map((span) => module.subarray(span.start, span.end));
  for (const [digest, body] of bodies) parts[only(parts, digest)] = body;
  const count = Uint8Array.from(unsigned(parts.length));
  const code = Buffer.concat([
    count,
    ...parts.flatMap((part) => [Uint8Array.from(unsigned(part.length)), part]),
  ]);
  return new Uint8Array(
    Buffer.concat([
      module.subarray(0, section.start),
      Uint8Array.from([CODE, ...unsigned(code.length)]),
      code,
      module.subarray(section.content.end),
    ]),
  );
}

/** The body of the one function with this digest. */
export function bodyOf(module: Uint8Array, digest: string): Uint8Array {
  const { content } = codeSection(module);
  const parts = functionBodies(module, content).map((span) => module.subarray(span.start, span.end));
  return parts[only(parts, digest)] as Uint8Array;
}

/** The number by which the one function with this digest is called. */
export function indexOf(module: Uint8Array, digest: string): number {
  const { content } = codeSection(module);
  const parts = functionBodies(module, content).map((span) => module.subarray(span.start, span.end));
  return importedFunctions(module) + only(parts, digest);
}

/**
 * A function's body with code before it and locals of that code behind its own: numbers of 32 bits, then vectors.
 *
 * `parameters` is how many the function takes; `code` gets the first new local.
 */
export function withPrefix(
  body: Uint8Array,
  parameters: number,
  prefix: (first: number) => { numbers: number; vectors: number; code: Uint8Array },
): Uint8Array {
  const groups = readUnsigned(body, 0);
  let { next } = groups;
  let locals = parameters;
  for (let group = 0; group < groups.value; group++) {
    const size = readUnsigned(body, next);
    locals += size.value;
    next = size.next + 1;
  }
  const { numbers, vectors, code } = prefix(locals);
  return new Uint8Array(
    Buffer.concat([
      Uint8Array.from(unsigned(groups.value + 2)),
      body.subarray(groups.next, next),
      Uint8Array.from([...unsigned(numbers), I32, ...unsigned(vectors), V128]),
      code,
      body.subarray(next),
    ]),
  );
}

function only(parts: readonly Uint8Array[], digest: string): number {
  const found = parts.flatMap((part, index) =>
    createHash("sha256").update(part).digest("hex") === digest ? [index] : [],
  );
  if (found.length !== 1)
    throw new Error(`The module has ${found.length} functions with the digest ${digest} instead of one.`);
  return found[0] as number;
}

function codeSection(module: Uint8Array): { start: number; content: Span } {
  for (let start = HEADER_BYTES; start < module.length; ) {
    const { value: length, next } = readUnsigned(module, start + 1);
    if (module[start] === CODE) return { start, content: { start: next, end: next + length } };
    start = next + length;
  }
  throw new Error("The module has no code.");
}

function importedFunctions(module: Uint8Array): number {
  return WebAssembly.Module.imports(new WebAssembly.Module(module as BufferSource)).filter(
    ({ kind }) => kind === "function",
  ).length;
}

function functionBodies(module: Uint8Array, code: Span): Span[] {
  const { value: count, next } = readUnsigned(module, code.start);
  let start = next;
  return Array.from({ length: count }, () => {
    const size = readUnsigned(module, start);
    const span = { start: size.next, end: size.next + size.value };
    start = span.end;
    return span;
  });
}

function readUnsigned(bytes: Uint8Array, start: number): { value: number; next: number } {
  let value = 0;
  for (let next = start, weight = 1; ; weight *= 128) {
    const byte = bytes[next++];
    if (byte === undefined) throw new Error("The module ends within a number.");
    value += (byte % 128) * weight;
    if (byte < 128) return { value, next };
  }
}
