/**
 * Where the tensors of a safetensors file lie.
 *
 * Format: 8 bytes little-endian header length, a JSON header {name: {dtype, shape, data_offsets}}, then the
 * tensors. The header comes from a stranger: its length, its shapes and its offsets are checked before any
 * byte is viewed.
 */

import { BundleError } from "../errors";
import { count } from "../numbers/arrays";

/** Element types as onnxruntime names them. */
export type ElementType =
  | "float64"
  | "float32"
  | "float16"
  | "int64"
  | "int32"
  | "int16"
  | "int8"
  | "uint8"
  | "bool";

export interface TensorPlace {
  readonly type: ElementType;
  readonly shape: readonly number[];
  /** From the file's first byte. */
  readonly offset: number;
  readonly bytes: number;
}

/** A file's length and its tensors by name. */
export interface Layout {
  readonly size: number;
  readonly tensors: ReadonlyMap<string, TensorPlace>;
}

export const MAX_HEADER = 16 * 2 ** 20;
const MAX_TENSORS = 100_000;
const MAX_RANK = 8;
const TYPES: Readonly<Record<string, readonly [ElementType, number]>> = {
  F64: ["float64", 8],
  F32: ["float32", 4],
  F16: ["float16", 2],
  I64: ["int64", 8],
  I32: ["int32", 4],
  I16: ["int16", 2],
  I8: ["int8", 1],
  U8: ["uint8", 1],
  BOOL: ["bool", 1],
};

/**
 * How many bytes the header of a file of `size` bytes takes with its length; `head` is the file's first 8.
 */
export function headerEnd(path: string, head: Uint8Array, size: number): number {
  if (size < 8) throw refuse(path, "is shorter than its own header length");
  const length = Number(new DataView(head.buffer, head.byteOffset).getBigUint64(0, true));
  if (length > Math.min(size - 8, MAX_HEADER)) throw refuse(path, `states a header of ${length} bytes`);
  return 8 + length;
}

/** Read and check a header; `head` is the file up to `headerEnd`. Throws BundleError naming what is wrong. */
export function readLayout(path: string, head: Uint8Array, size: number): Layout {
  const start = headerEnd(path, head, size);
  let header: unknown;
  try {
    header = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(head.slice(8, start)));
  } catch {
    throw refuse(path, "has a header that is not JSON");
  }
  if (typeof header !== "object" || header === null || Array.isArray(header))
    throw refuse(path, "has a header that is not an object");
  const entries = Object.entries(header as Record<string, unknown>).filter(
    ([name]) => name !== "__metadata__",
  );
  if (entries.length > MAX_TENSORS)
    throw refuse(path, `lists ${entries.length} tensors and the limit is ${MAX_TENSORS}`);
  const places = entries
    .map(([name, entry]) => ({ name, ...place(path, name, entry) }))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  const tensors = new Map<string, TensorPlace>();
  let end = 0;
  for (const { name, type, width, shape, begin, end: after } of places) {
    const shown = name.slice(0, 80);
    if (begin !== end) throw refuse(path, `has a gap or an overlap before the tensor '${shown}'`);
    if (after > size - start) throw refuse(path, `ends before the tensor '${shown}' does`);
    if ((start + begin) % width) throw refuse(path, `does not align the tensor '${shown}'`);
    tensors.set(name, { type, shape, offset: start + begin, bytes: after - begin });
    end = after;
  }
  if (end !== size - start) throw refuse(path, "has bytes that no tensor uses");
  return { size, tensors };
}

function place(path: string, name: string, entry: unknown) {
  const shown = name.slice(0, 80);
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  if (dtype === undefined || shape === undefined || offsets === undefined)
    throw refuse(path, `describes the tensor '${shown}' wrongly`);
  const known = typeof dtype === "string" && Object.hasOwn(TYPES, dtype) ? TYPES[dtype] : undefined;
  if (known === undefined)
    throw refuse(path, `has the tensor '${shown}' in a type that a device does not know`);
  if (!naturals(shape) || !naturals(offsets) || offsets.length !== 2 || shape.length > MAX_RANK)
    throw refuse(path, `has a wrong shape or offset at the tensor '${shown}'`);
  const [type, width] = known;
  const [begin, end] = offsets as [number, number];
  if (end - begin !== count(shape) * width)
    throw refuse(path, `gives the tensor '${shown}' a size that is not its shape's`);
  return { type, width, shape, begin, end };
}

function naturals(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function refuse(path: string, reason: string): BundleError {
  return new BundleError(`${path} ${reason}; export or fetch the bundle again.`);
}
