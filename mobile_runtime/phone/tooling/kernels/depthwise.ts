/**
 * A convolution of 3 x 3 on one channel in float32, in place of a product of matrices of one row.
 *
 * onnxruntime has no kernel for depthwise convolutions in WebAssembly: for each channel it writes out nine copies of the
 * picture, packs them, and multiplies them by one row of nine weights. Here the picture is copied once, with a border of
 * zeros. The nine products are summed in the same order, so the bits are the same.
 *
 * The function (MlasConvOperation): parameters, input, weights, bias, a buffer of its own, output, and the first and the
 * number of the pixels to be made. Every convolution but that of 3 x 3, one channel, border 1, stride 1, all pixels and
 * nothing to add to goes to the replaced body.
 */

import * as wasm from "./assembler.ts";
import { type Code, FLOAT } from "./assembler.ts";
import { withPrefix } from "./module.ts";
import { assign } from "./quarters.ts";

/** Where MLAS_CONV_PARAMETERS has its fields. */
const AT = {
  activation: 0,
  dimensions: 4,
  height: 24,
  width: 28,
  kernel: 36,
  dilation: 48,
  border: 60,
  stride: 84,
  filters: 96,
  outputHeight: 100,
  outputWidth: 104,
  outputSize: 116,
  k: 120,
  beta: 124,
} as const;
const SIDE = 3;
const LANES = 4;
const VECTOR = LANES * FLOAT;
/** Floats of the buffer that every thread has: one product's packed weights. */
const BUFFER = 128 * 128;

const { get, set, constant, four, advance } = wasm;

const [PARAMETERS, INPUT, WEIGHTS, BIAS, COPY, OUTPUT, START, COUNT] = [0, 1, 2, 3, 4, 5, 6, 7];
const TAKEN = 8;

/** MlasConvOperation's body with the convolution of 3 x 3 before it; `activation` is the number of MlasActivation. */
export function depthwise(body: Uint8Array, activation: number, fused: boolean): Uint8Array {
  return withPrefix(body, TAKEN, (first) => {
    const numbers = 8;
    const [width, height, pitch] = [first, first + 1, first + 2];
    const [row, column, last] = [first + 3, first + 4, first + 5];
    const [from, to] = [first + 6, first + 7];
    const weights = Array.from({ length: SIDE * SIDE }, (_, index) => first + numbers + index);
    const sum = first + numbers + weights.length;
    const field = (offset: number): Code[] => [get(PARAMETERS), wasm.load(offset)];
    const is = (offset: number, value: number): Code[] => [...field(offset), constant(value), wasm.equal];
    const suits = [
      is(AT.dimensions, 2),
      is(AT.k, SIDE * SIDE),
      is(AT.filters, 1),
      is(AT.beta, 0),
      ...[AT.kernel, AT.kernel + 4].map((offset) => is(offset, SIDE)),
      ...[AT.dilation, AT.border, AT.stride].flatMap((offset) => [is(offset, 1), is(offset + 4, 1)]),
      [...field(AT.height), ...field(AT.outputHeight), wasm.equal],
      [...field(AT.width), ...field(AT.outputWidth), wasm.equal],
      [get(START), wasm.isZero],
      [get(COUNT), ...field(AT.outputSize), wasm.equal],
      [...field(AT.width), constant(LANES), wasm.atLeast],
      // With its border, and what the last vector of zeros may write beyond.
      [
        ...[...field(AT.width), constant(SIDE), wasm.add, ...field(AT.height), constant(SIDE), wasm.add],
        ...[wasm.multiply, constant(BUFFER), wasm.atMost],
      ],
    ].flatMap((condition, index) => (index === 0 ? condition : [...condition, wasm.and]));

    /** For every column of a row that begins a vector; the last vector may lie half on the one before. */
    const vectors = (code: Code[]): Code[] => [
      ...[constant(0), set(column)],
      wasm.loop([
        ...code,
        ...[get(column), get(last), wasm.equal, wasm.leaveIf],
        ...advance(column, VECTOR),
        wasm.when([get(last), get(column), wasm.below], assign(column, last)),
      ]),
    ];
    const rows = (code: Code[]): Code[] => [
      ...assign(row, height),
      wasm.loop([...code, ...wasm.reduce(row, 1), get(row), wasm.isZero, wasm.leaveIf]),
    ];
    const next = (local: number, bytes: number): Code[] => [get(local), get(bytes), wasm.add, set(local)];
    const end = [...field(AT.height), constant(2), wasm.add, get(pitch), wasm.multiply, get(COPY), wasm.add];
    const copy = [
      // All zeros, then the picture in the middle.
      ...assign(to, COPY),
      wasm.loop([
        ...[get(to), four.zero, four.store(0)],
        ...advance(to, VECTOR),
        ...[...end, get(to), wasm.atMost, wasm.leaveIf],
      ]),
      ...assign(from, INPUT),
      ...[get(COPY), get(pitch), wasm.add, constant(FLOAT), wasm.add, set(to)],
      ...rows([
        ...vectors([
          ...[get(to), get(column), wasm.add],
          ...[get(from), get(column), wasm.add, four.load(0), four.store(0)],
        ]),
        ...next(from, width),
        ...next(to, pitch),
      ]),
    ];
    const convolve = [
      ...weights.flatMap((weight, index) => [get(WEIGHTS), four.loadSpread(index * FLOAT), set(weight)]),
      ...assign(from, COPY),
      ...assign(to, OUTPUT),
      ...rows([
        ...vectors([
          ...[four.zero, set(sum)],
          ...weights.flatMap((weight, index) => {
            const line = Math.floor(index / SIDE);
            const offset = (index % SIDE) * FLOAT;
            const address: Code[] = [
              ...[get(from), get(column), wasm.add],
              ...Array.from({ length: line }, () => [get(pitch), wasm.add]).flat(),
            ];
            const pixels = [...address, four.load(offset)].flat();
            return [...wasm.multiplyAdd(pixels, get(weight), get(sum), fused), set(sum)];
          }),
          ...[get(to), get(column), wasm.add, get(sum), four.store(0)],
        ]),
        ...next(from, pitch),
        ...next(to, width),
      ]),
    ];
    const inBytes = (offset: number, more: number, local: number): Code[] => [
      ...[...field(offset), constant(more), wasm.add, constant(2), wasm.shiftLeft, set(local)],
    ];
    const code = wasm.when(suits, [
      ...inBytes(AT.width, 0, width),
      ...inBytes(AT.width, SIDE - 1, pitch),
      ...inBytes(AT.width, -LANES, last),
      ...[...field(AT.height), set(height)],
      ...copy,
      ...convolve,
      ...[...field(AT.activation), get(OUTPUT), get(BIAS), constant(1), get(COUNT), get(COUNT)],
      ...[wasm.call(activation), wasm.leave],
    ]);
    return { numbers, vectors: weights.length + 1, code: Uint8Array.from(code) };
  });
}
