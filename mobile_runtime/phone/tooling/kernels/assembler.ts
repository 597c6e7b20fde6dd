/** The few WebAssembly instructions that the kernels are made of, as bytes. */

/** An instruction, or several, as bytes. */
export type Code = readonly number[];

/** Bytes of a float. */
export const FLOAT = 4;

/** An unsigned number in LEB128. */
export function unsigned(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  do {
    const part = left % 128;
    left = Math.floor(left / 128);
    bytes.push(left > 0 ? part + 128 : part);
  } while (left > 0);
  return bytes;
}

/** A signed number of 32 bits in LEB128. */
function signed(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value; ; ) {
    const part = left & 127;
    left >>= 7;
    const last = (left === 0 && part < 64) || (left === -1 && part >= 64);
    bytes.push(last ? part : part + 128);
    if (last) return bytes;
  }
}

const vector = (operation: number): Code => [0xfd, ...unsigned(operation)];
const at = (alignment: number, offset: number): Code => [...unsigned(alignment), ...unsigned(offset)];

/** Four of the eight lanes of two vectors. */
function lanes(...chosen: readonly number[]): Code {
  return [...vector(0x0d), ...chosen.flatMap((lane) => [0, 1, 2, 3].map((byte) => lane * FLOAT + byte))];
}

const END: Code = [0x0b];
const VOID = 0x40;
/** Low half from the high half: lanes 2, 3, 2, 3. */
const UPPER: Code = [8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15];

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number): Code => [0x21, ...unsigned(local)];
export const constant = (value: number): Code => [0x41, ...signed(value)];
export const add: Code = [0x6a];
export const subtract: Code = [0x6b];
export const multiply: Code = [0x6c];
/** Without a sign. */
export const divide: Code = [0x6e];
export const shiftLeft: Code = [0x74];
export const shiftRight: Code = [0x76];
export const and: Code = [0x71];
export const or: Code = [0x72];
export const isZero: Code = [0x45];
export const equal: Code = [0x46];
export const below: Code = [0x49];
export const atMost: Code = [0x4d];
export const atLeast: Code = [0x4f];

/** A number of 32 bits from memory. */
export const load = (offset: number): Code => [0x28, ...at(2, offset)];
export const loadByte = (offset: number): Code => [0x2d, ...at(0, offset)];
export const store = (offset: number): Code => [0x36, ...at(2, offset)];
export const drop: Code = [0x1a];
/** The first of two if the third is not zero, else the second. */
const select: Code = [0x1b];
export const leave: Code = [0x0f];
export const call = (index: number): Code => [0x10, ...unsigned(index)];
export const float = {
  constant: (value: number): Code => [0x43, ...new Uint8Array(Float32Array.of(value).buffer)],
  equal: [0x5b] as Code,
};

/** Floats, four at a time. Addresses are taken from the stack, plus `offset` bytes. */
export const four = {
  zero: [...vector(0x0c), ...new Array<number>(16).fill(0)] as Code,
  constant: (value: number): Code => [
    ...vector(0x0c),
    ...new Uint8Array(Float32Array.of(value, value, value, value).buffer),
  ],
  load: (offset: number): Code => [...vector(0x00), ...at(2, offset)],
  loadTwo: (offset: number): Code => [...vector(0x5d), ...at(2, offset)],
  loadOne: (offset: number): Code => [...vector(0x5c), ...at(2, offset)],
  loadSpread: (offset: number): Code => [...vector(0x09), ...at(2, offset)],
  store: (offset: number): Code => [...vector(0x0b), ...at(2, offset)],
  storeTwo: (offset: number): Code => [...vector(0x5b), ...at(2, offset), 0],
  storeOne: (offset: number): Code => [...vector(0x5a), ...at(2, offset), 0],
  spread: vector(0x13),
  add: vector(0xe4),
  subtract: vector(0xe5),
  multiply: vector(0xe6),
  divide: vector(0xe7),
  root: vector(0xe3),
  /** A number of 32 bits, without a sign, as floats. */
  spreadNumber: [...vector(0x11), ...vector(0xfb)] as Code,
  /** a, or b where b is less (more): what is not a number stays where it comes first. */
  least: vector(0xea),
  most: vector(0xeb),
  /** a * b + c with one rounding where the processor can, else with two: relaxed SIMD. */
  multiplyAdd: vector(0x105),
  /** Two of the same on the stack: their upper half becomes the lower one. */
  upper: [...vector(0x0d), ...UPPER] as Code,
  /** Of a and b: a0 b0 a1 b1; a2 b2 a3 b3; a0 a1 b0 b1; a2 a3 b2 b3. */
  zipLower: lanes(0, 4, 1, 5),
  zipUpper: lanes(2, 6, 3, 7),
  swapHalves: lanes(2, 3, 0, 1),
  swapNeighbours: lanes(1, 0, 3, 2),
  lowerHalves: lanes(0, 1, 4, 5),
  upperHalves: lanes(2, 3, 6, 7),
};

/** a * b + c: in one instruction, of relaxed SIMD, or in two that round alike everywhere. */
export function multiplyAdd(a: Code, b: Code, c: Code, fused: boolean): Code[] {
  return fused ? [a, b, c, four.multiplyAdd] : [a, b, four.multiply, c, four.add];
}

/** Add a constant to a number. */
export function advance(local: number, by: number): Code[] {
  return [get(local), constant(by), add, set(local)];
}

/** Take a constant from a number. */
export function reduce(local: number, by: number): Code[] {
  return [get(local), constant(by), subtract, set(local)];
}

/** The lesser of two numbers. */
export function least(one: number, two: number): Code[] {
  return [get(one), get(two), get(one), get(two), below, select];
}

/** A number, or a constant where that is less. */
export function atMostOf(local: number, most: number): Code[] {
  return [get(local), constant(most), get(local), constant(most), below, select];
}

/** Leave the innermost `loop`, from right within it, where a number is below a constant. */
export function leaveBelow(local: number, least: number): Code[] {
  return [get(local), constant(least), below, leaveIf];
}

/** Again and again, until `leaveIf`. */
export function loop(body: readonly Code[]): Code {
  return [0x02, VOID, 0x03, VOID, ...body.flat(), 0x0c, 0, ...END, ...END];
}

/** Leave the innermost `loop`, from right within it, where the stack holds what is not zero. */
export const leaveIf: Code = [0x0d, 1];

export function when(
  condition: readonly Code[],
  then: readonly Code[],
  otherwise: readonly Code[] = [],
): Code {
  const or = otherwise.length > 0 ? [0x05, ...otherwise.flat()] : [];
  return [...condition.flat(), 0x04, VOID, ...then.flat(), ...or, ...END];
}

/** A function's body: its locals beyond the parameters, 32-bit numbers first, then vectors. */
export function functionBody(numbers: number, vectors: number, code: readonly Code[]): Uint8Array {
  return Uint8Array.from([2, ...unsigned(numbers), 0x7f, ...unsigned(vectors), 0x7b, ...code.flat(), ...END]);
}
