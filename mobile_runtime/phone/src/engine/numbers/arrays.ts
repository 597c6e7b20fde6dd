/**
 * Arrays of float32 and the few things that are done to them. Every operation rounds to float32, as numpy
 * does: a product or sum of two float32 numbers that is computed in double and rounded once is the float32
 * result.
 */

/** An array with its shape, row by row. */
export interface Floats {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

export const round32 = Math.fround;

/** How many elements a shape has. */
export function count(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

export function zeros(shape: readonly number[]): Floats {
  return { data: new Float32Array(count(shape)), shape };
}

/**
 * Give an array's memory back at once: a collector of garbage sees a small object and takes its time. Nobody may read
 * the array any more, nor another one of the same memory.
 */
export function release({ buffer }: ArrayBufferView): void {
  // Browsers of before 2024 lack it, and collect.
  if (buffer instanceof ArrayBuffer) buffer.transfer?.(0);
}

/** One number for every two of two arrays of one length; `combine` rounds where it computes in steps. */
export function zip(
  a: Float32Array,
  b: Float32Array,
  combine: (a: number, b: number) => number,
): Float32Array {
  const result = new Float32Array(a.length);
  for (let i = 0; i < a.length; i++) result[i] = combine(a[i] as number, b[i] as number);
  return result;
}

/** One number for every number. */
export function map(a: Float32Array, change: (a: number) => number): Float32Array {
  const result = new Float32Array(a.length);
  for (let i = 0; i < a.length; i++) result[i] = change(a[i] as number);
  return result;
}

/** a + b x scale, the product rounded. */
export function addScaled(a: Float32Array, b: Float32Array, scale: number): Float32Array {
  const factor = round32(scale);
  return zip(a, b, (x, y) => x + round32(y * factor));
}

/** a - b. */
export function subtract(a: Float32Array, b: Float32Array): Float32Array {
  return zip(a, b, (x, y) => x - y);
}

/** a x factor. */
export function scaled(a: Float32Array, factor: number): Float32Array {
  const by = round32(factor);
  return map(a, (x) => x * by);
}

/** Element `index` of a list in which it is known to be, negative ones counted from the end. */
export function at(values: ArrayLike<number>, index: number): number {
  return values[index < 0 ? values.length + index : index] as number;
}

/** Nearest whole number, halves to the even one, as numpy's rint. */
export function rint(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest < 0.5) return floor;
  if (rest > 0.5) return floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The arrays joined along `axis`; all other sides are equal. */
export function concatenate(parts: readonly Floats[], axis: number): Floats {
  const first = parts[0] as Floats;
  const outer = count(first.shape.slice(0, axis));
  const total = parts.reduce((sum, part) => sum + (part.shape[axis] as number), 0);
  const shape = first.shape.map((side, index) => (index === axis ? total : side));
  const result = new Float32Array(count(shape));
  const row = count(shape.slice(axis));
  let begin = 0;
  for (const part of parts) {
    const length = count(part.shape.slice(axis));
    for (let i = 0; i < outer; i++)
      result.set(part.data.subarray(i * length, (i + 1) * length), i * row + begin);
    begin += length;
  }
  return { data: result, shape };
}

/** The box from `begin` to `end` (per axis) of an array, copied. */
export function slice(array: Floats, begin: readonly number[], end: readonly number[]): Floats {
  const shape = begin.map((start, axis) => (end[axis] as number) - start);
  const result = new Float32Array(count(shape));
  const rank = shape.length;
  const row = shape[rank - 1] as number;
  const strides = stridesOf(array.shape);
  const index = begin.slice(0, -1);
  for (let to = 0; to < result.length; to += row) {
    let from = begin[rank - 1] as number;
    for (let axis = 0; axis < rank - 1; axis++) from += (index[axis] as number) * (strides[axis] as number);
    result.set(array.data.subarray(from, from + row), to);
    for (let axis = rank - 2; axis >= 0; axis--) {
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < (end[axis] as number)) break;
      index[axis] = begin[axis] as number;
    }
  }
  return { data: result, shape };
}

/** Elements from one index of an axis to the next, per axis. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = shape.map(() => 1);
  for (let axis = shape.length - 2; axis >= 0; axis--)
    strides[axis] = (strides[axis + 1] as number) * (shape[axis + 1] as number);
  return strides;
}
