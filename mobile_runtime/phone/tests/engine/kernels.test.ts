import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { beforeAll, expect, test } from "vitest";
import { hasFusedSimd } from "../../src/engine/runtime/simd";
import { unsigned } from "../../tooling/kernels/assembler";
import { fasterRuntime, MLAS_KERNELS, SOURCE } from "../../tooling/kernels/fasterRuntime";
import { gemm } from "../../tooling/kernels/gemm";
import { logistic } from "../../tooling/kernels/logistic";
import { bodyOf, withBodies } from "../../tooling/kernels/module";
import { transpose } from "../../tooling/kernels/transpose";

type Gemm = (
  a: number,
  b: number,
  c: number,
  k: number,
  m: number,
  n: number,
  strideA: number,
  strideC: number,
  alpha: number,
) => number;

type Transpose = (work: number, task: number) => void;

type Logistic = (input: number, output: number, count: number) => void;

interface Shape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly alpha: number;
}

/** Every number of rows and of columns that is left over, few and many steps of k, and the model's own. */
const SHAPES: Shape[] = [
  ...Array.from({ length: 13 }, (_, index) => ({ m: index + 1, n: 40, k: 9, alpha: 1 })),
  ...Array.from({ length: 33 }, (_, index) => ({ m: 7, n: index + 1, k: 6, alpha: 0.5 })),
  ...[1, 2, 3, 4, 5, 128].map((k) => ({ m: 11, n: 24, k, alpha: -2 })),
  { m: 180, n: 128, k: 128, alpha: 1 },
];

beforeAll(() => {
  // Node 20 has relaxed SIMD behind a flag; later ones have it and do not know the flag.
  if (!hasFusedSimd()) setFlagsFromString("--experimental-wasm-relaxed-simd");
});

test.each([
  ["zero", false],
  ["add", true],
] as const)("without fusing, a product has the bits of the one that is replaced: %s", (name, adding) => {
  const theirs = load<Gemm>(GEMM, bodyOf(runtime(), MLAS_KERNELS[name]));
  const ours = load<Gemm>(GEMM, gemm({ adding, fused: false }));
  for (const shape of SHAPES) expect(product(ours, shape), told(shape)).toEqual(product(theirs, shape));
});

test.each([
  ["zero", false],
  ["add", true],
] as const)("fused, a product differs by rounding alone: %s", (name, adding) => {
  const theirs = load<Gemm>(GEMM, bodyOf(runtime(), MLAS_KERNELS[name]));
  const ours = load<Gemm>(GEMM, gemm({ adding, fused: true }));
  for (const shape of SHAPES) {
    const wanted = product(theirs, shape);
    const got = product(ours, shape);
    const worst = got.reduce(
      (most, value, index) => Math.max(most, Math.abs(value - (wanted[index] ?? 0))),
      0,
    );
    expect(worst, told(shape)).toBeLessThan(1e-6 * shape.k + 1e-6);
  }
});

test("without fusing, a logistic has the bits of the one that is replaced; fused, it differs by rounding", () => {
  const theirs = load<Logistic>(LOGISTIC, bodyOf(runtime(), MLAS_KERNELS.logistic));
  const plain = load<Logistic>(LOGISTIC, logistic(false));
  const fused = load<Logistic>(LOGISTIC, logistic(true));
  const special = [0, -0, 18, -18, 40, -1e30, Infinity, -Infinity, NaN, 1e-40];
  const values = Float32Array.from(
    { length: 200 },
    (_, index) => special[index % 20] ?? 30 * Math.sin(index),
  );
  // Every number that is left over by sixteen, by four, and by one.
  for (let count = 0; count <= 40; count++) {
    const input = values.subarray(count, 5 * count);
    const wanted = mapped(theirs, input);
    expect(mapped(plain, input)).toEqual(wanted);
    for (const [index, value] of mapped(fused, input).entries())
      if (Number.isNaN(wanted[index])) expect(value).toBeNaN();
      else expect(value).toBeCloseTo(wanted[index] ?? 0, 6);
  }
  expect([...mapped(fused, Float32Array.of(-100, 0, 100))]).toEqual([0, 0.5, 1]);
});

test("a transpose moves the elements that the one that is replaced moves", () => {
  const theirs = load<Transpose>(TRANSPOSE, bodyOf(runtime(), MLAS_KERNELS.transpose));
  const ours = load<Transpose>(TRANSPOSE, transpose());
  // Every number that is left over by sixteen columns, by four of them and by four rows, and one task's share.
  for (let rows = 1; rows <= 11; rows++)
    for (let columns = 1; columns <= 40; columns++)
      for (const [task, tasks] of [
        [0, 1],
        [0, 3],
        [2, 3],
      ] as const)
        expect(turned(ours, rows, columns, task, tasks)).toEqual(turned(theirs, rows, columns, task, tasks));
  expect([...turned(ours, 2, 3, 0, 1).subarray(0, 6)]).toEqual([1, 4, 2, 5, 3, 6]);
});

test("the whole runtime is a module with either set of kernels, and nothing else in it changes", () => {
  for (const fused of [false, true]) {
    const made = fasterRuntime(runtime(), fused);
    expect(WebAssembly.validate(made as BufferSource)).toBe(true);
    const { product, layerNorm, ...bitwise } = MLAS_KERNELS;
    for (const digest of [...Object.values(bitwise), ...(fused ? [product, layerNorm] : [])])
      expect(() => bodyOf(made, digest)).toThrow("0 functions");
    // These sum in another order, so only the file that rounds in its own way has them.
    for (const digest of fused ? [] : [product, layerNorm])
      expect(bodyOf(made, digest)).toEqual(bodyOf(runtime(), digest));
  }
  const same = new Map([[MLAS_KERNELS.zero, bodyOf(runtime(), MLAS_KERNELS.zero)]]);
  const again = withBodies(runtime(), same);
  expect(Buffer.from(again).equals(Buffer.from(runtime()))).toBe(true);
});

test("another runtime than the lock file's is refused with what to do", () => {
  const other = Uint8Array.from(runtime());
  const place = Buffer.from(other).indexOf(Buffer.from(bodyOf(other, MLAS_KERNELS.add)));
  other[place + 40] = (other[place + 40] ?? 0) ^ 1;
  expect(() => fasterRuntime(other, false)).toThrow("install by the lock file");
});

function runtime(): Uint8Array {
  return new Uint8Array(readFileSync(SOURCE));
}

function told({ m, n, k }: Shape): string {
  return `${m} x ${k} times ${k} x ${n}`;
}

const memory = new WebAssembly.Memory({ initial: 32, maximum: 32, shared: true });

/** The types of the functions: numbers of 32 bits, a float, and what comes back. */
const GEMM = [9, ...new Array<number>(8).fill(0x7f), 0x7d, 1, 0x7f];
const TRANSPOSE = [2, 0x7f, 0x7f, 0];
const LOGISTIC = [3, 0x7f, 0x7f, 0x7f, 0];

/** A module of one function, on the memory above. */
function load<Kernel>(type: number[], body: Uint8Array): Kernel {
  const section = (id: number, content: number[]) => [id, ...unsigned(content.length), ...content];
  const name = (text: string) => [text.length, ...new TextEncoder().encode(text)];
  const module = Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, 0x60, ...type]),
    ...section(2, [1, ...name("e"), ...name("m"), 2, 3, ...unsigned(32), ...unsigned(32)]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("f"), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module), { e: { m: memory } });
  return instance.exports.f as Kernel;
}

/** What a logistic makes of numbers, in place as onnxruntime calls it, with what lies behind them. */
function mapped(logistic: Logistic, values: Float32Array): Float32Array {
  const floats = new Float32Array(memory.buffer, 256, values.length + 8).fill(7);
  floats.set(values);
  logistic(256, 256, values.length);
  expect([...floats.subarray(values.length)]).toEqual(new Array(8).fill(7));
  return floats.slice(0, values.length);
}

/** What a task of a transpose writes for a matrix of 1, 2, 3 and so on, with what lies behind it. */
function turned(
  transpose: Transpose,
  rows: number,
  columns: number,
  task: number,
  tasks: number,
): Float32Array {
  const [work, input, output, count] = [64, 256, 65536, rows * columns];
  new Uint32Array(memory.buffer, work, 5).set([tasks, input, output, rows, columns]);
  new Float32Array(memory.buffer, input, count).set(Array.from({ length: count }, (_, index) => index + 1));
  const made = new Float32Array(memory.buffer, output, count + 16).fill(-7);
  transpose(work, task);
  return made.slice();
}

/** C after a product, with what lies around it: nothing beside C's own columns may change. */
function product(gemm: Gemm, { m, n, k, alpha }: Shape): Float32Array {
  const floats = new Float32Array(memory.buffer);
  const [strideA, strideC] = [k + 3, n + 5];
  const a = 64;
  const b = a + m * strideA;
  const c = b + Math.ceil(n / 16) * 16 * k;
  const end = c + m * strideC;
  for (let index = 0; index < end; index++) floats[index] = Math.sin(index * 12.9898 + m + n * 7 + k * 13);
  for (let done = 0; done < m; ) {
    const at = (start: number, stride: number) => 4 * (start + done * stride);
    done += gemm(at(a, strideA), 4 * b, at(c, strideC), k, m - done, n, strideA, strideC, alpha);
  }
  return floats.slice(0, end + 16);
}
