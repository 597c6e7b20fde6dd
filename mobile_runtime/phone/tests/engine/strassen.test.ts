import { setFlagsFromString } from "node:v8";
import { beforeAll, expect, test } from "vitest";
import { hasFusedSimd } from "../../src/engine/runtime/simd";
import { type Code, call, functionBody, get, unsigned } from "../../tooling/kernels/assembler";
import { gemm } from "../../tooling/kernels/gemm";
import { strassen } from "../../tooling/kernels/strassen";

/** MlasSgemmOperation: C = alpha * A * B + beta * C. */
type Product = (
  transA: number,
  transB: number,
  m: number,
  n: number,
  k: number,
  alpha: number,
  a: number,
  lda: number,
  b: number,
  ldb: number,
  beta: number,
  c: number,
  ldc: number,
) => void;

interface Shape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

const PLAIN = 111;
const PAGES = 1024;
const BUFFER = 32 * 2 ** 20;
const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
const floats = new Float32Array(memory.buffer);

beforeAll(() => {
  // Node 20 has relaxed SIMD behind a flag; later ones have it and do not know the flag.
  if (!hasFusedSimd()) setFlagsFromString("--experimental-wasm-relaxed-simd");
});

test.each([
  { m: 192, n: 256, k: 512 },
  // Halves of K that are packed in more than one piece, and K in more than one chunk.
  { m: 200, n: 256, k: 1160 },
  // More rows than the sums of A have place for, an odd row, a narrow last pair of columns, columns left over.
  { m: 577 + 192, n: 352, k: 512 },
  { m: 193, n: 300, k: 520 },
])("a product by Strassen differs by rounding alone: $m x $k times $k x $n", (shape) => {
  for (const fused of [false, true]) {
    const made = compute(strassenOf(fused), shape);
    // Seven products of quarters; what is left over is plain.
    expect(made.plain.every(({ m, n }) => m < 192 || n < 32)).toBe(true);
    expect(made.worst).toBeLessThan(2e-6 * Math.sqrt(shape.k));
    expect(made.beside).toBe(true);
  }
});

test.each([
  { shape: { m: 191, n: 256, k: 512 } },
  { shape: { m: 192, n: 255, k: 512 } },
  { shape: { m: 192, n: 256, k: 508 } },
  { shape: { m: 192, n: 256, k: 516 } },
  { shape: { m: 192, n: 256, k: 512 }, room: 0 },
])("what does not suit goes to the replaced body: %o", ({ shape, room }) => {
  const made = compute(strassenOf(true, room), shape);
  expect(made.plain).toEqual([shape]);
});

test.each([
  [112, PLAIN, 1, 0],
  [PLAIN, 112, 1, 0],
  [PLAIN, PLAIN, 0.5, 0],
  [PLAIN, PLAIN, 1, 1],
])("so does what is more than A * B: %i, %i, %f, %f", (transA, transB, alpha, beta) => {
  const { product, plain } = strassenOf(true);
  product(transA, transB, 256, 256, 512, alpha, 64, 512, 64, 256, beta, 64, 256);
  expect(plain).toHaveLength(1);
});

/** The function with its kernels; calls of the replaced body are noted, and computed in 64 bits. */
function strassenOf(fused: boolean, room = BUFFER): { product: Product; plain: Shape[]; freed: number[] } {
  const plain: Shape[] = [];
  const freed: number[] = [];
  const imports = {
    memory,
    malloc: () => room,
    free: (place: number) => freed.push(place),
    plain: ((transA, transB, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc) => {
      plain.push({ m, n, k });
      if (transA !== PLAIN || transB !== PLAIN || alpha !== 1 || beta !== 0) return;
      for (let row = 0; row < m; row++)
        for (let column = 0; column < n; column++)
          floats[c / 4 + row * ldc + column] = exact(a / 4 + row * lda, b / 4 + column, k, ldb);
    }) as Product,
  };
  const [malloc, free, plainly, zero, add, itself] = [0, 1, 2, 3, 4, 5];
  const kernels = [gemm({ adding: false, fused }), gemm({ adding: true, fused })];
  const original = functionBody(0, 0, [
    ...Array.from({ length: 13 }, (_, index) => get(index)),
    call(plainly),
  ]);
  const body = strassen(original, { zero, add, itself, malloc, free });
  const product = instance(imports, [...kernels, body]);
  return { product, plain, freed };
}

function instance(imports: WebAssembly.ModuleImports, bodies: Uint8Array[]): Product {
  const [i32, f32] = [0x7f, 0x7d];
  const section = (id: number, content: Code) => [id, ...unsigned(content.length), ...content];
  const name = (text: string) => [text.length, ...new TextEncoder().encode(text)];
  const type = (takes: number[], gives: number[]) => [0x60, takes.length, ...takes, gives.length, ...gives];
  const some = (count: number) => new Array<number>(count).fill(i32);
  const product = type([...some(5), f32, ...some(4), f32, ...some(2)], []);
  const types = [type([i32], [i32]), type([i32], []), product, type([...some(8), f32], [i32])];
  const functions = ["malloc", "free", "plain"].map((text, index) => [...name("e"), ...name(text), 0, index]);
  const sized = (body: Uint8Array) => [...unsigned(body.length), ...body];
  const module = Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, [types.length, ...types.flat()]),
    ...section(2, [
      functions.length + 1,
      ...functions.flat(),
      ...[...name("e"), ...name("memory"), 2, 3, ...unsigned(PAGES), ...unsigned(PAGES)],
    ]),
    ...section(3, [3, 3, 3, 2]),
    ...section(7, [1, ...name("f"), 0, 5]),
    ...section(10, [3, ...bodies.flatMap(sized)]),
  ]);
  return new WebAssembly.Instance(new WebAssembly.Module(module), { e: imports }).exports.f as Product;
}

/** A product of this shape beside its exact one, on rows that are longer than they need to be. */
function compute(
  { product, plain, freed }: ReturnType<typeof strassenOf>,
  { m, n, k }: Shape,
): { worst: number; beside: boolean; plain: Shape[] } {
  const [lda, ldb, ldc] = [k + 3, n + 5, n + 7];
  const a = 64;
  const b = a + m * lda;
  const c = b + k * ldb;
  const end = c + m * ldc;
  for (let index = a; index < c; index++) floats[index] = Math.sin(index * 12.9898) / 8;
  floats.fill(7, c, end);
  product(PLAIN, PLAIN, m, n, k, 1, 4 * a, lda, 4 * b, ldb, 0, 4 * c, ldc);
  expect(freed).toEqual(plain.length === 1 && plain[0]?.m === m && plain[0].n === n ? [] : [BUFFER]);
  let worst = 0;
  let beside = true;
  for (let row = 0; row < m; row++) {
    // Every column of some rows, and some of the others.
    for (let column = row % 19; column < n; column += row % 16 === 0 ? 1 : 19) {
      const wanted = exact(a + row * lda, b + column, k, ldb);
      worst = Math.max(worst, Math.abs((floats[c + row * ldc + column] as number) - wanted));
    }
    for (let column = n; column < ldc; column++) beside &&= floats[c + row * ldc + column] === 7;
  }
  return { worst, beside, plain };
}

function exact(a: number, b: number, k: number, ldb: number): number {
  let sum = 0;
  for (let step = 0; step < k; step++)
    sum += (floats[a + step] as number) * (floats[b + step * ldb] as number);
  return sum;
}
