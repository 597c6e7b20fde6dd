import { setFlagsFromString } from "node:v8";
import { beforeAll, expect, test } from "vitest";
import { hasFusedSimd } from "../../src/engine/runtime/simd";
import { type Code, call, functionBody, get, unsigned } from "../../tooling/kernels/assembler";
import { depthwise } from "../../tooling/kernels/depthwise";

/** MlasConvOperation: parameters, input, weights, bias, buffer, output, first pixel, pixels. */
type Convolution = (...numbers: number[]) => void;

const memory = new WebAssembly.Memory({ initial: 8, maximum: 8, shared: true });
const floats = new Float32Array(memory.buffer);
const words = new Uint32Array(memory.buffer);
const [PARAMETERS, WEIGHTS, BIAS, BUFFER, INPUT, OUTPUT] = [256, 512, 768, 1024, 131072, 262144];

beforeAll(() => {
  // Node 20 has relaxed SIMD behind a flag; later ones have it and do not know the flag.
  if (!hasFusedSimd()) setFlagsFromString("--experimental-wasm-relaxed-simd");
});

test.each([
  [10, 18],
  [1, 4],
  [4, 5],
  [3, 7],
  [7, 8],
  [124, 124],
])("a convolution of 3 x 3 on one channel has the bits of a product's sums: %i x %i", (height, width) => {
  const { convolution, activated, plain } = convolutionOf(false);
  parameters(height, width);
  const size = fill(height, width);
  convolution(PARAMETERS, INPUT, WEIGHTS, BIAS, BUFFER, OUTPUT, 0, size);
  expect(plain).toEqual([]);
  expect(activated).toEqual([[11, OUTPUT, BIAS, 1, size, size]]);
  const made = floats.slice(OUTPUT / 4, OUTPUT / 4 + size);
  expect(made).toEqual(wanted(height, width));
  expect([...floats.subarray(OUTPUT / 4 + size, OUTPUT / 4 + size + 8)]).toEqual(new Array(8).fill(7));
  // What one multiplication and addition at once rounds is the last bit.
  const fused = convolutionOf(true).convolution;
  fused(PARAMETERS, INPUT, WEIGHTS, BIAS, BUFFER, OUTPUT, 0, size);
  for (const [index, value] of made.entries()) expect(floats[OUTPUT / 4 + index]).toBeCloseTo(value, 5);
});

test.each([
  ["three dimensions", { 4: 3 }, {}],
  ["more channels", { 120: 18 }, {}],
  ["more filters", { 96: 2 }, {}],
  ["a sum to add to", { 124: 0x3f800000 }, {}],
  ["a kernel of 1 x 9", { 36: 1, 40: 9 }, {}],
  ["dilation", { 52: 2 }, {}],
  ["no border on the left", { 64: 0 }, {}],
  ["stride", { 84: 2 }, {}],
  ["a wider border at the bottom", { 100: 11 }, {}],
  ["no border on the right", { 104: 17 }, {}],
  ["a part of the pixels", {}, { count: 90 }],
  ["pixels from the middle", {}, { start: 90 }],
  ["a picture narrower than a vector", { 24: 60, 28: 3, 100: 60, 104: 3 }, {}],
  ["a picture larger than the buffer", { 24: 128, 28: 128, 100: 128, 104: 128 }, {}],
] as [string, Record<number, number>, { start?: number; count?: number }][])(
  "the replaced body gets what is more: %s",
  (_, changed, { start = 0, count }) => {
    const { convolution, plain } = convolutionOf(true);
    parameters(10, 18);
    for (const [offset, value] of Object.entries(changed)) words[(PARAMETERS + Number(offset)) / 4] = value;
    const size = (words[(PARAMETERS + 100) / 4] as number) * (words[(PARAMETERS + 104) / 4] as number);
    words[(PARAMETERS + 116) / 4] = size;
    const taken = [PARAMETERS, INPUT, WEIGHTS, BIAS, BUFFER, OUTPUT, start, count ?? size];
    convolution(...taken);
    expect(plain).toEqual([taken]);
  },
);

/** What a plain convolution of 3 x 3 has in MLAS_CONV_PARAMETERS. */
function parameters(height: number, width: number): void {
  const size = height * width;
  const fields: Record<number, number> = { 0: 11, 4: 2, 8: 1, 12: 1, 16: 0, 20: 1, 24: height, 28: width };
  Object.assign(fields, { 36: 3, 40: 3, 48: 1, 52: 1, 60: 1, 64: 1, 68: 1, 72: 1, 84: 1, 88: 1, 96: 1 });
  Object.assign(fields, { 100: height, 104: width, 112: size, 116: size, 120: 9, 124: 0 });
  for (const [offset, value] of Object.entries(fields)) words[(PARAMETERS + Number(offset)) / 4] = value;
}

/** Numbers everywhere, and something else in the buffer and behind the output. */
function fill(height: number, width: number): number {
  const size = height * width;
  for (let index = 0; index < 9; index++) floats[WEIGHTS / 4 + index] = Math.sin(index + 1);
  for (let index = 0; index < size; index++) floats[INPUT / 4 + index] = Math.sin(index * 12.9898);
  floats.fill(7, BUFFER / 4, BUFFER / 4 + 128 * 128);
  floats.fill(7, OUTPUT / 4, OUTPUT / 4 + size + 8);
  return size;
}

/** The nine products of each pixel, summed in their order with two roundings each. */
function wanted(height: number, width: number): Float32Array {
  return Float32Array.from({ length: height * width }, (_, index) => {
    const [y, x] = [Math.floor(index / width), index % width];
    let sum = 0;
    for (let tap = 0; tap < 9; tap++) {
      const [row, column] = [y + Math.floor(tap / 3) - 1, x + (tap % 3) - 1];
      const inside = row >= 0 && row < height && column >= 0 && column < width;
      const pixel = inside ? (floats[INPUT / 4 + row * width + column] as number) : 0;
      sum = Math.fround(sum + Math.fround(pixel * (floats[WEIGHTS / 4 + tap] as number)));
    }
    return sum;
  });
}

/** The function; calls of MlasActivation and of the replaced body are noted. */
function convolutionOf(fused: boolean): {
  convolution: Convolution;
  activated: number[][];
  plain: number[][];
} {
  const activated: number[][] = [];
  const plain: number[][] = [];
  const imports = {
    memory,
    activation: (...numbers: number[]) => activated.push(numbers),
    plain: (...numbers: number[]) => plain.push(numbers),
  };
  const [activation, plainly] = [0, 1];
  const taken = Array.from({ length: 8 }, (_, index) => get(index));
  const body = depthwise(functionBody(0, 0, [...taken, call(plainly)]), activation, fused);
  const section = (id: number, content: Code) => [id, ...unsigned(content.length), ...content];
  const name = (text: string) => [text.length, ...new TextEncoder().encode(text)];
  const type = (count: number) => [0x60, count, ...new Array<number>(count).fill(0x7f), 0];
  const module = Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [2, ...type(6), ...type(8)]),
    ...section(2, [
      ...[3, ...name("e"), ...name("activation"), 0, 0, ...name("e"), ...name("plain"), 0, 1],
      ...[...name("e"), ...name("memory"), 2, 3, 8, 8],
    ]),
    ...section(3, [1, 1]),
    ...section(7, [1, ...name("f"), 0, 2]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
  const made = new WebAssembly.Instance(new WebAssembly.Module(module), { e: imports });
  return { convolution: made.exports.f as Convolution, activated, plain };
}
