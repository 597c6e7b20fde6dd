import { expect, test } from "vitest";
import { type Code, call, functionBody, get, unsigned } from "../../tooling/kernels/assembler";
import { layerNorm } from "../../tooling/kernels/layerNorm";

const memory = new WebAssembly.Memory({ initial: 8, maximum: 8, shared: true });
const floats = new Float32Array(memory.buffer);
const words = new Uint32Array(memory.buffer);
const [CLOSURE, JOB, REFERENCES, X, SCALE, BIAS, Y] = [64, 192, 512, 4096, 65536, 131072, 196608];
const EPSILON = 1e-5;
const ROWS = 3;

test.each([
  [16, true, 0],
  [16, false, 0],
  [48, true, 0],
  [1152, true, 0],
  // Far from zero, where a sum of squares would lose what is left of the variance.
  [1152, false, 300],
])("rows of %i are normalized, with a bias: %s, around %i", (length, biased, around) => {
  const { normalize, plain } = normalizer();
  prepare(length, biased, around);
  normalize(CLOSURE, 1);
  expect(plain).toEqual([]);
  const made = [...floats.subarray(Y / 4, Y / 4 + ROWS * length)];
  const expected = wanted(length, biased);
  for (const [index, value] of made.slice(length, 2 * length).entries())
    expect(value).toBeCloseTo(expected[index] as number, around === 0 ? 5 : 3);
  // Other rows are other tasks'.
  expect(made.slice(0, length)).toEqual(new Array(length).fill(7));
  expect(made.slice(2 * length)).toEqual(new Array(length).fill(7));
});

test("a row may be normalized where it lies", () => {
  const { normalize } = normalizer();
  prepare(32, true, 0);
  const expected = wanted(32, true);
  words[(REFERENCES + 32) / 4] = X;
  normalize(CLOSURE, 1);
  for (const [index, value] of expected.entries()) expect(floats[X / 4 + 32 + index]).toBeCloseTo(value, 5);
});

test.each([
  ["rows that are not of whole sixteens", JOB + 8, 24],
  ["a row longer than 32 bits", JOB + 12, 1],
  ["a scale for every few rows", JOB + 32, 2],
  ["a scale that is repeated backwards", JOB + 36, 0xffffffff],
  ["a scale of any shape", JOB + 40, 1],
  ["no mean", REFERENCES + 28, 1],
  ["a mean that is kept", REFERENCES + 36, 4096],
  ["a deviation that is kept", REFERENCES + 40, 4096],
  ["no scale", REFERENCES + 8, 0],
])("the replaced body gets what is more: %s", (_, place, value) => {
  const { normalize, plain } = normalizer();
  prepare(32, true, 0);
  words[place / 4] = value;
  normalize(CLOSURE, 1);
  expect(plain).toEqual([[CLOSURE, 1]]);
});

/** The closure, each of whose references is to a word of its own, and numbers everywhere. */
function prepare(length: number, biased: boolean, around: number): void {
  words.fill(0, CLOSURE / 4, X / 4);
  words[CLOSURE / 4] = JOB;
  for (let offset = 4; offset <= 40; offset += 4) words[(CLOSURE + offset) / 4] = REFERENCES + offset;
  words[(JOB + 8) / 4] = length;
  words[(REFERENCES + 4) / 4] = X;
  words[(REFERENCES + 8) / 4] = SCALE;
  words[(REFERENCES + 12) / 4] = biased ? BIAS : 0;
  floats[(REFERENCES + 24) / 4] = EPSILON;
  words[(REFERENCES + 32) / 4] = Y;
  for (let index = 0; index < ROWS * length; index++)
    floats[X / 4 + index] = around + Math.sin(index * 12.9898);
  for (let index = 0; index < length; index++) {
    floats[SCALE / 4 + index] = 1 + Math.cos(index);
    floats[BIAS / 4 + index] = Math.sin(index);
  }
  floats.fill(7, Y / 4, Y / 4 + ROWS * length);
}

/** The second row, in 64 bits. */
function wanted(length: number, biased: boolean): number[] {
  const row = [...floats.subarray(X / 4 + length, X / 4 + 2 * length)];
  const mean = row.reduce((sum, value) => sum + value, 0) / length;
  const variance = row.reduce((sum, value) => sum + (value - mean) ** 2, 0) / length;
  return row.map((value, index) => {
    const scaled = ((value - mean) / Math.sqrt(variance + EPSILON)) * (floats[SCALE / 4 + index] as number);
    return scaled + (biased ? (floats[BIAS / 4 + index] as number) : 0);
  });
}

/** The function; calls of the replaced body are noted. */
function normalizer(): { normalize: (closure: number, row: number) => void; plain: number[][] } {
  const plain: number[][] = [];
  const imports = { memory, plain: (...numbers: number[]) => plain.push(numbers) };
  const body = layerNorm(functionBody(0, 0, [get(0), get(1), call(0)]));
  const section = (id: number, content: Code) => [id, ...unsigned(content.length), ...content];
  const name = (text: string) => [text.length, ...new TextEncoder().encode(text)];
  const module = Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, 0x60, 2, 0x7f, 0x7f, 0]),
    ...section(2, [2, ...name("e"), ...name("plain"), 0, 0, ...name("e"), ...name("memory"), 2, 3, 8, 8]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("f"), 0, 1]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
  const made = new WebAssembly.Instance(new WebAssembly.Module(module), { e: imports });
  return { normalize: made.exports.f as (closure: number, row: number) => void, plain };
}
