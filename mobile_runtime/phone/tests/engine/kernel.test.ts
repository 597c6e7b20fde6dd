import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { beforeAll, expect, test } from "vitest";
import { hasFusedSimd } from "../../src/engine/runtime/simd";
import { unsigned } from "../../tooling/gemm/assembler";
import { fasterRuntime, MLAS_KERNELS, SOURCE } from "../../tooling/gemm/fasterRuntime";
import { kernel } from "../../tooling/gemm/kernel";
import { bodyOf, withBodies } from "../../tooling/gemm/module";

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
] as const)("without fusing, the kernel gives the bits of the one that it replaces: %s", (name, adding) => {
  const theirs = load(bodyOf(runtime(), MLAS_KERNELS[name]));
  const ours = load(kernel({ adding, fused: false }));
  for (const shape of SHAPES) expect(product(ours, shape), told(shape)).toEqual(product(theirs, shape));
});

test.each([
  ["zero", false],
  ["add", true],
] as const)("fused, it differs by rounding alone: %s", (name, adding) => {
  const theirs = load(bodyOf(runtime(), MLAS_KERNELS[name]));
  const ours = load(kernel({ adding, fused: true }));
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

test("the whole runtime is a module with either kernel, and only the two functions change", () => {
  for (const fused of [false, true]) {
    const made = fasterRuntime(runtime(), fused);
    expect(WebAssembly.validate(made as BufferSource)).toBe(true);
    expect(() => bodyOf(made, MLAS_KERNELS.zero)).toThrow("0 functions");
    expect(() => bodyOf(made, MLAS_KERNELS.add)).toThrow("0 functions");
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

/** A module of one function: eight numbers and a float to a number, on the memory above. */
function load(body: Uint8Array): Gemm {
  const section = (id: number, content: number[]) => [id, ...unsigned(content.length), ...content];
  const name = (text: string) => [text.length, ...new TextEncoder().encode(text)];
  const module = Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [1, 0x60, 9, ...new Array<number>(8).fill(0x7f), 0x7d, 1, 0x7f]),
    ...section(2, [1, ...name("e"), ...name("m"), 2, 3, ...unsigned(32), ...unsigned(32)]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name("f"), 0, 0]),
    ...section(10, [1, ...unsigned(body.length), ...body]),
  ]);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(module), { e: { m: memory } });
  return instance.exports.f as Gemm;
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
