/**
 * Large products of matrices in float32 by Strassen's algorithm (Numer. Math. 13, 1969), one level of it: seven
 * products of quarters instead of eight.
 *
 * The kernel of this folder computes as fast as vectors of 128 bits can, so a product gets faster only by fewer
 * multiplications. The sums that Strassen adds cost little where they are made on the way: those of A once for all
 * columns, those of B while it is packed, those of C once for many steps of k, on a tile that stays in the cache.
 * The bits are not those of a plain product: where elements are of one size the error is two or three times as large, and
 * a row that shares sums with a much larger one has errors of float32's for that one.
 *
 * The function (MlasSgemmOperation): C [M, N] = alpha * A [M, K] * B [K, N] + beta * C, of which A and B may be
 * transposed. What is not large, or is more than A * B, goes to the replaced body, which stays behind this one; so do
 * rows and columns that are left over.
 */

import * as wasm from "./assembler.ts";
import { type Code, FLOAT } from "./assembler.ts";
import { withPrefix } from "./module.ts";
import {
  across,
  assign,
  down,
  type Four,
  fromTile,
  LANES,
  PANEL,
  packed,
  type Quarter,
  type Scratch,
  type Sign,
  type Sum,
  summed,
} from "./quarters.ts";

/** The functions that it calls, by their numbers. */
export interface StrassenCalls {
  readonly zero: number;
  readonly add: number;
  readonly itself: number;
  readonly malloc: number;
  readonly free: number;
}

/** Least numbers of rows, columns and steps of k for which it pays. */
const LEAST = { rows: 192, columns: 256, steps: 512 } as const;
/** Of a quarter: rows and steps of k of A, columns of B; all that bound the memory it takes. */
const MOST = { rows: 288, steps: 576, columns: 64 } as const;
/** Steps of k that are packed at a time. */
const PACKED = 192;
const NOT_TRANSPOSED = 111;
const PARAMETERS = 13;

/** Bytes of a sum of quarters of A, of the tile of C, and of packed weights. */
const SUM = MOST.rows * MOST.steps * FLOAT;
const TILE = MOST.rows * MOST.columns * FLOAT;
const PACK = PACKED * MOST.columns * FLOAT;

const { get, set, constant } = wasm;

interface Product {
  readonly a: Sum;
  readonly b: Sum;
  readonly to: readonly Target[];
}
type Target = readonly [Quarter, Sign];

const product = (a: Sum, b: Sum, ...to: Target[]): Product => ({ a, b, to });
const PRODUCTS: readonly Product[] = [
  product([0, 1, 3], [0, 1, 3], [0, 1], [3, 1]),
  product([2, 1, 3], [0], [2, 1], [3, -1]),
  product([0], [1, -1, 3], [1, 1], [3, 1]),
  product([3], [2, -1, 0], [0, 1], [2, 1]),
  product([0, 1, 1], [3], [0, -1], [1, 1]),
  product([2, -1, 0], [0, 1, 1], [3, 1]),
  product([1, -1, 3], [2, 1, 3], [0, 1]),
];
/** The sums of A that are made; a single quarter is read where it is. */
const SUMS = PRODUCTS.map(({ a }) => a).filter((a) => a.length > 1);

/** MlasSgemmOperation's body with Strassen's algorithm before it. */
export function strassen(body: Uint8Array, calls: StrassenCalls): Uint8Array {
  return withPrefix(body, PARAMETERS, (first) => new Strassen(calls, first).prefix());
}

/** Numbers of locals, which are given before the fields of the class that has them. */
class Locals {
  protected numbers = 0;

  constructor(protected readonly first: number) {}

  protected number(): number {
    return this.first + this.numbers++;
  }

  protected four(): Four {
    return [this.number(), this.number(), this.number(), this.number()];
  }
}

class Strassen extends Locals {
  // The parameters that are used, in their order.
  private readonly transA = 0;
  private readonly transB = 1;
  private readonly countM = 2;
  private readonly countN = 3;
  private readonly countK = 4;
  private readonly alpha = 5;
  private readonly matrixA = 6;
  private readonly lda = 7;
  private readonly matrixB = 8;
  private readonly ldb = 9;
  private readonly beta = 10;
  private readonly matrixC = 11;
  private readonly ldc = 12;

  private readonly buffer = this.number();
  private readonly tile = this.number();
  private readonly panel = this.number();
  /** Bytes from row to row. */
  private readonly rowA = this.number();
  private readonly rowB = this.number();
  private readonly rowC = this.number();
  /** What is left, and where it begins. */
  private readonly stepsLeft = this.number();
  private readonly columnsLeft = this.number();
  private readonly chunkA = this.number();
  private readonly chunkB = this.number();
  /** Sizes of a quarter. */
  private readonly rows = this.number();
  private readonly steps = this.number();
  private readonly columns = this.number();
  private readonly a = this.four();
  private readonly b = this.four();
  private readonly c = this.four();
  /** Of one product, and of loops. */
  private readonly factor = this.number();
  private readonly strideA = this.number();
  private readonly left = this.number();
  private readonly packed = this.number();
  private readonly one = this.number();
  private readonly two = this.number();
  private readonly sumPlaces = SUMS.map(() => this.number());
  private readonly scratch: Scratch;

  constructor(
    private readonly calls: StrassenCalls,
    first: number,
  ) {
    super(first);
    const loops = { row: this.number(), column: this.number(), size: this.number(), pointers: this.four() };
    // Vectors come after all numbers.
    const vector = (index: number) => this.first + this.numbers + index;
    this.scratch = { ...loops, vectors: [vector(0), vector(1), vector(2), vector(3)] };
  }

  prefix(): { numbers: number; vectors: number; code: Uint8Array } {
    const all = (conditions: readonly Code[][]) =>
      conditions.flatMap((condition, index) => (index === 0 ? condition : [...condition, wasm.and]));
    const large = (local: number, least: number): Code[] => [get(local), constant(least), wasm.atLeast];
    const is = (local: number, value: number): Code[] => [get(local), constant(value), wasm.equal];
    const isFloat = (local: number, value: number): Code[] => [
      get(local),
      wasm.float.constant(value),
      wasm.float.equal,
    ];
    const suits = all([
      is(this.transA, NOT_TRANSPOSED),
      is(this.transB, NOT_TRANSPOSED),
      isFloat(this.alpha, 1),
      isFloat(this.beta, 0),
      large(this.countM, LEAST.rows),
      large(this.countN, LEAST.columns),
      large(this.countK, LEAST.steps),
      [get(this.countK), constant(2 * LANES - 1), wasm.and, wasm.isZero],
    ]);
    const bytes = SUMS.length * SUM + TILE + PACK;
    const code = wasm.when(suits, [
      ...[constant(bytes), wasm.call(this.calls.malloc), set(this.buffer)],
      // Without memory the replaced body does it.
      wasm.when([get(this.buffer)], [...this.compute(), wasm.leave]),
    ]);
    return { numbers: this.numbers, vectors: this.scratch.vectors.length, code: Uint8Array.from(code) };
  }

  private compute(): Code[] {
    const toBytes = (stride: number, bytes: number) => [get(stride), constant(2), wasm.shiftLeft, set(bytes)];
    return [
      ...this.sumPlaces.flatMap((place, index) => assign(place, this.buffer, index * SUM)),
      ...assign(this.tile, this.buffer, SUMS.length * SUM),
      ...assign(this.panel, this.tile, TILE),
      ...toBytes(this.lda, this.rowA),
      ...toBytes(this.ldb, this.rowB),
      ...toBytes(this.ldc, this.rowC),
      wasm.loop([...wasm.leaveBelow(this.countM, LEAST.rows), ...this.someRows()]),
      ...[get(this.buffer), wasm.call(this.calls.free)],
      wasm.when([get(this.countM)], this.itself(get(this.countM), get(this.countN))),
    ];
  }

  /** Rows, as many as the sums of A have place for, of all columns; then on to the next ones. */
  private someRows(): Code[] {
    return [
      ...[...wasm.atMostOf(this.countM, 2 * MOST.rows), constant(1), wasm.shiftRight, set(this.rows)],
      ...assign(this.chunkA, this.matrixA),
      ...assign(this.chunkB, this.matrixB),
      ...assign(this.stepsLeft, this.countK),
      wasm.loop([
        ...[get(this.stepsLeft), wasm.isZero, wasm.leaveIf],
        ...[...wasm.atMostOf(this.stepsLeft, 2 * MOST.steps), constant(1), wasm.shiftRight, set(this.steps)],
        ...this.quarters(this.a, this.chunkA, this.steps, this.rows, this.rowA),
        ...summed(
          this.scratch,
          this.a,
          SUMS.map((sum, index) => [sum, this.sumPlaces[index] as number] as const),
          { rows: this.rows, columns: this.steps, bytes: this.rowA },
        ),
        ...this.allColumns(),
        ...this.twice(() => [get(this.chunkA), ...across(this.steps), set(this.chunkA)]),
        ...this.twice(() => [get(this.chunkB), ...down(this.steps, this.rowB), set(this.chunkB)]),
        ...this.twice(() => [get(this.stepsLeft), get(this.steps), wasm.subtract, set(this.stepsLeft)]),
      ]),
      wasm.when([get(this.columnsLeft)], this.lastColumns()),
      ...this.twice(() => [get(this.matrixA), ...down(this.rows, this.rowA), set(this.matrixA)]),
      ...this.twice(() => [get(this.matrixC), ...down(this.rows, this.rowC), set(this.matrixC)]),
      ...this.twice(() => [get(this.countM), get(this.rows), wasm.subtract, set(this.countM)]),
    ];
  }

  /** Some steps of k, for all columns but the last few. */
  private allColumns(): Code[] {
    const on = (local: number) => this.twice(() => [get(local), ...across(this.columns), set(local)]);
    return [
      ...assign(this.columnsLeft, this.countN),
      ...assign(this.b[0], this.chunkB),
      ...assign(this.c[0], this.matrixC),
      wasm.loop([
        ...wasm.leaveBelow(this.columnsLeft, 2 * PANEL),
        ...wasm.atMostOf(this.columnsLeft, 2 * MOST.columns),
        // Half of it, in whole panels.
        ...[constant(5), wasm.shiftRight, constant(4), wasm.shiftLeft, set(this.columns)],
        ...this.quarters(this.b, this.b[0], this.columns, this.steps, this.rowB),
        ...this.quarters(this.c, this.c[0], this.columns, this.rows, this.rowC),
        ...this.products(),
        ...on(this.b[0]),
        ...on(this.c[0]),
        ...this.twice(() => [
          ...[get(this.columnsLeft), get(this.columns), wasm.subtract, set(this.columnsLeft)],
        ]),
      ]),
    ];
  }

  /** Columns that are too few for two panels, of the rows at hand. */
  private lastColumns(): Code[] {
    const [before, b, c] = [this.one, this.b[0], this.c[0]];
    return [
      ...[get(this.countN), get(this.columnsLeft), wasm.subtract, set(before)],
      ...[get(this.matrixB), ...across(before), set(b)],
      ...[get(this.matrixC), ...across(before), set(c)],
      ...this.itself([...get(this.rows), ...get(this.rows), ...wasm.add], get(this.columnsLeft), b, c),
    ];
  }

  private products(): Code[] {
    const touched = new Set<Quarter>();
    let sums = 0;
    return PRODUCTS.flatMap(({ a, b, to }) => {
      const alone = a.length === 1;
      const targets = to.map(([quarter, sign]) => {
        const fresh = !touched.has(quarter);
        touched.add(quarter);
        return { quarter: this.c[quarter], sign, fresh };
      });
      const put = (all: typeof targets) =>
        fromTile(this.scratch, this.one, all, { rows: this.rows, columns: this.columns, bytes: this.rowC });
      return [
        ...assign(this.factor, alone ? this.a[a[0]] : (this.sumPlaces[sums++] as number)),
        ...assign(this.strideA, alone ? this.lda : this.steps),
        ...this.multiply(b),
        ...assign(this.one, this.tile),
        // The first steps of k are put into C, the others added.
        wasm.when(
          [get(this.stepsLeft), get(this.countK), wasm.equal],
          put(targets),
          put(targets.map((target) => ({ ...target, fresh: false }))),
        ),
      ];
    });
  }

  /** The tile = the factor of A * a sum of quarters of B. */
  private multiply([first, sign, second]: Sum): Code[] {
    const kernel = (index: number): Code[] => [
      ...[get(this.factor), get(this.panel), get(this.tile), get(this.packed), get(this.rows)],
      ...[get(this.columns), get(this.strideA), get(this.columns), wasm.float.constant(1)],
      ...[wasm.call(index), wasm.drop],
    ];
    const from = second === undefined ? [this.one] : [this.one, this.two];
    const size = { rows: this.packed, columns: this.columns, bytes: this.rowB, into: this.panel };
    return [
      ...assign(this.left, this.steps),
      ...assign(this.one, this.b[first]),
      ...(second === undefined ? [] : assign(this.two, this.b[second])),
      wasm.loop([
        ...[...wasm.atMostOf(this.left, PACKED), set(this.packed)],
        ...packed(this.scratch, from, sign, size),
        wasm.when(
          [get(this.left), get(this.steps), wasm.equal],
          kernel(this.calls.zero),
          kernel(this.calls.add),
        ),
        ...[get(this.left), get(this.packed), wasm.subtract, set(this.left)],
        ...[get(this.left), wasm.isZero, wasm.leaveIf],
        ...[get(this.factor), ...across(this.packed), set(this.factor)],
        ...from.flatMap((source) => [get(source), ...down(this.packed, this.rowB), set(source)]),
      ]),
    ];
  }

  /** Addresses of quarters of `width` columns and `height` rows, the first of which is at `from`. */
  private quarters(of: Four, from: number, width: number, height: number, bytes: number): Code[] {
    const [first, right, below, last] = of;
    return [
      ...assign(first, from),
      ...[get(first), ...across(width), set(right)],
      ...[get(first), ...down(height, bytes), set(below)],
      ...[get(below), ...across(width), set(last)],
    ];
  }

  /** The function itself for a part that is left over, by the replaced body. */
  private itself(rows: Code, columns: Code, b = this.matrixB as number, c = this.matrixC as number): Code[] {
    return [
      ...[get(this.transA), get(this.transB), rows, columns, get(this.countK), get(this.alpha)],
      ...[get(this.matrixA), get(this.lda), get(b), get(this.ldb), get(this.beta), get(c), get(this.ldc)],
      wasm.call(this.calls.itself),
    ];
  }

  private twice(code: () => Code[]): Code[] {
    return [...code(), ...code()];
  }
}
