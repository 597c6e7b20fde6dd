/**
 * Large products of matrices in float32 by Strassen's algorithm (Numer. Math. 13, 1969), one level of it: seven
 * products of quarters instead of eight.
 *
 * The kernel of this folder computes as fast as vectors of 128 bits can, so a product gets faster only by fewer
 * multiplications. The sums that Strassen adds cost little where they are made on the way: those of A once for all
 * columns, those of B while it is packed, those of C once for all of K, on a tile that stays in the cache. Rounding
 * errors are of the size of float32's for the largest elements that a row of A meets, as in any such sum; but
 * the bits are not those of a plain product.
 *
 * The function (MlasSgemmOperation): C [M, N] = alpha * A [M, K] * B [K, N] + beta * C, of which A and B may be
 * transposed. What is not large, or is more than A * B, goes to the replaced body, which stays behind this one; so do
 * rows and columns that are left over.
 */

import * as wasm from "./assembler.ts";
import { type Code, FLOAT } from "./assembler.ts";
import { withPrefix } from "./module.ts";

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
const PANEL = 16;
const LANES = 4;
const VECTOR = LANES * FLOAT;
const PANEL_ROW = PANEL * FLOAT;
const NOT_TRANSPOSED = 111;
const PARAMETERS = 13;

/** Bytes of a sum of quarters of A, of the tile of C, and of packed weights. */
const SUM = MOST.rows * MOST.steps * FLOAT;
const TILE = MOST.rows * MOST.columns * FLOAT;
const PACK = PACKED * MOST.columns * FLOAT;

const { get, set, constant, four, advance, reduce } = wasm;

type Sign = 1 | -1;
/** Quarters in the order of reading: 11, 12, 21, 22. */
type Quarter = 0 | 1 | 2 | 3;
/** One quarter, or two of which the second is added or taken away. */
type Sum = readonly [Quarter] | readonly [Quarter, Sign, Quarter];

interface Product {
  readonly a: Sum;
  readonly b: Sum;
  readonly to: readonly (readonly [Quarter, Sign])[];
}

const PRODUCTS: readonly Product[] = [
  {
    a: [0, 1, 3],
    b: [0, 1, 3],
    to: [
      [0, 1],
      [3, 1],
    ],
  },
  {
    a: [2, 1, 3],
    b: [0],
    to: [
      [2, 1],
      [3, -1],
    ],
  },
  {
    a: [0],
    b: [1, -1, 3],
    to: [
      [1, 1],
      [3, 1],
    ],
  },
  {
    a: [3],
    b: [2, -1, 0],
    to: [
      [0, 1],
      [2, 1],
    ],
  },
  {
    a: [0, 1, 1],
    b: [3],
    to: [
      [0, -1],
      [1, 1],
    ],
  },
  { a: [2, -1, 0], b: [0, 1, 1], to: [[3, 1]] },
  { a: [1, -1, 3], b: [2, 1, 3], to: [[0, 1]] },
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

  protected four(): readonly [number, number, number, number] {
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
  private readonly to = this.number();
  private readonly row = this.number();
  private readonly column = this.number();
  private readonly pointers = this.four();
  private readonly sumPlaces = SUMS.map(() => this.number());
  private readonly vectors: readonly number[];

  constructor(
    private readonly calls: StrassenCalls,
    first: number,
  ) {
    super(first);
    // Vectors come after all numbers.
    this.vectors = [0, 1, 2, 3].map((index) => this.first + this.numbers + index);
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
    return { numbers: this.numbers, vectors: this.vectors.length, code: Uint8Array.from(code) };
  }

  private compute(): Code[] {
    const toBytes = (stride: number, bytes: number) => [get(stride), constant(2), wasm.shiftLeft, set(bytes)];
    return [
      ...this.sumPlaces.flatMap((place, index) => this.set(place, this.buffer, index * SUM)),
      ...this.set(this.tile, this.buffer, SUMS.length * SUM),
      ...this.set(this.panel, this.tile, TILE),
      ...toBytes(this.lda, this.rowA),
      ...toBytes(this.ldb, this.rowB),
      ...toBytes(this.ldc, this.rowC),
      wasm.loop([...wasm.leaveBelow(this.countM, LEAST.rows), ...this.someRows()]),
      ...[get(this.buffer), wasm.call(this.calls.free)],
      wasm.when([get(this.countM)], this.itself(get(this.countM), get(this.countN), get(this.matrixB))),
    ];
  }

  /** Rows, as many as the sums of A have place for, of all columns; then on to the next ones. */
  private someRows(): Code[] {
    const twice = (local: number): Code[] => [get(local), constant(1), wasm.shiftLeft];
    const done = (rows: Code[], stride: number) => [...rows, get(stride), wasm.multiply];
    return [
      ...[...wasm.atMostOf(this.countM, 2 * MOST.rows), constant(1), wasm.shiftRight, set(this.rows)],
      ...this.set(this.chunkA, this.matrixA, 0),
      ...this.set(this.chunkB, this.matrixB, 0),
      ...this.set(this.stepsLeft, this.countK, 0),
      wasm.loop([
        ...[get(this.stepsLeft), wasm.isZero, wasm.leaveIf],
        ...[...wasm.atMostOf(this.stepsLeft, 2 * MOST.steps), constant(1), wasm.shiftRight, set(this.steps)],
        ...this.quarters(this.a, this.chunkA, this.steps, this.rows, this.rowA),
        ...this.sumsOfA(),
        ...this.allColumns(),
        ...[
          get(this.chunkA),
          get(this.steps),
          constant(2 * FLOAT),
          wasm.multiply,
          wasm.add,
          set(this.chunkA),
        ],
        ...[get(this.chunkB), ...done(twice(this.steps), this.rowB), wasm.add, set(this.chunkB)],
        ...[get(this.stepsLeft), ...twice(this.steps), wasm.subtract, set(this.stepsLeft)],
      ]),
      // Columns that are too few for two panels.
      wasm.when(
        [get(this.columnsLeft)],
        [
          ...[
            get(this.countN),
            get(this.columnsLeft),
            wasm.subtract,
            constant(2),
            wasm.shiftLeft,
            set(this.one),
          ],
          ...[get(this.matrixC), get(this.one), wasm.add, set(this.matrixC)],
          ...this.itself(
            twice(this.rows).flat(),
            get(this.columnsLeft),
            [get(this.matrixB), get(this.one), wasm.add].flat(),
          ),
          ...[get(this.matrixC), get(this.one), wasm.subtract, set(this.matrixC)],
        ],
      ),
      ...[get(this.matrixA), ...done(twice(this.rows), this.rowA), wasm.add, set(this.matrixA)],
      ...[get(this.matrixC), ...done(twice(this.rows), this.rowC), wasm.add, set(this.matrixC)],
      ...[get(this.countM), ...twice(this.rows), wasm.subtract, set(this.countM)],
    ];
  }

  /** Some steps of k, for all columns but the last few. */
  private allColumns(): Code[] {
    const on = (local: number): Code[] => [
      get(local),
      get(this.columns),
      constant(2 * FLOAT),
      wasm.multiply,
      wasm.add,
      set(local),
    ];
    return [
      ...this.set(this.columnsLeft, this.countN, 0),
      ...this.set(this.b[0], this.chunkB, 0),
      ...this.set(this.c[0], this.matrixC, 0),
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
        ...[get(this.columnsLeft), get(this.columns), constant(1), wasm.shiftLeft, wasm.subtract],
        set(this.columnsLeft),
      ]),
    ];
  }

  private products(): Code[] {
    const touched = new Set<Quarter>();
    let sums = 0;
    return PRODUCTS.flatMap(({ a, b, to }) => {
      const place = a.length === 1 ? this.a[a[0]] : this.sumPlaces[sums++];
      const stride = a.length === 1 ? get(this.lda) : get(this.steps);
      const fresh = to.map(([quarter]) => !touched.has(quarter));
      for (const [quarter] of to) touched.add(quarter);
      return [
        ...this.set(this.factor, place as number, 0),
        ...[stride, set(this.strideA)],
        ...this.multiply(b),
        // The first steps of k are put into C, the others added.
        wasm.when(
          [get(this.stepsLeft), get(this.countK), wasm.equal],
          this.update(to, fresh),
          this.update(to, [false, false]),
        ),
      ];
    });
  }

  /** The tile = the factor of A * a sum of quarters of B. */
  private multiply(b: Sum): Code[] {
    const [first, sign, second] = b;
    const kernel = (index: number): Code[] => [
      ...[get(this.factor), get(this.panel), get(this.tile), get(this.packed), get(this.rows)],
      ...[get(this.columns), get(this.strideA), get(this.columns), wasm.float.constant(1)],
      ...[wasm.call(index), wasm.drop],
    ];
    const past = (local: number): Code[] => [
      get(local),
      get(this.packed),
      get(this.rowB),
      wasm.multiply,
      wasm.add,
      set(local),
    ];
    return [
      ...this.set(this.left, this.steps, 0),
      ...this.set(this.one, this.b[first], 0),
      ...(second === undefined ? [] : this.set(this.two, this.b[second], 0)),
      wasm.loop([
        ...[...wasm.atMostOf(this.left, PACKED), set(this.packed)],
        ...this.pack(second === undefined ? null : (sign as Sign)),
        wasm.when(
          [get(this.left), get(this.steps), wasm.equal],
          kernel(this.calls.zero),
          kernel(this.calls.add),
        ),
        ...[get(this.left), get(this.packed), wasm.subtract, set(this.left)],
        ...[get(this.left), wasm.isZero, wasm.leaveIf],
        ...[get(this.factor), get(this.packed), constant(2), wasm.shiftLeft, wasm.add, set(this.factor)],
        ...past(this.one),
        ...(second === undefined ? [] : past(this.two)),
      ]),
    ];
  }

  /** Rows of `one`, or of `one` and `two`, into panels of 16 columns. */
  private pack(sign: Sign | null): Code[] {
    const [from, other] = this.pointers;
    const each = Array.from({ length: PANEL / LANES }, (_, index) => index * VECTOR);
    const value = (offset: number): Code[] => [
      ...[get(from), four.load(offset)],
      ...(sign === null ? [] : [get(other), four.load(offset), sign > 0 ? four.add : four.subtract]),
    ];
    const down = (local: number): Code[] => [get(local), get(this.rowB), wasm.add, set(local)];
    return [
      ...this.set(this.to, this.panel, 0),
      ...[constant(0), set(this.column)],
      wasm.loop([
        ...[get(this.one), get(this.column), wasm.add, set(from)],
        ...(sign === null ? [] : [get(this.two), get(this.column), wasm.add, set(other)]),
        ...this.set(this.row, this.packed, 0),
        wasm.loop([
          ...each.flatMap((offset) => [get(this.to), ...value(offset), four.store(offset)]),
          ...down(from),
          ...(sign === null ? [] : down(other)),
          ...advance(this.to, PANEL_ROW),
          ...reduce(this.row, 1),
          ...[get(this.row), wasm.isZero, wasm.leaveIf],
        ]),
        ...advance(this.column, PANEL_ROW),
        ...[get(this.column), get(this.columns), constant(2), wasm.shiftLeft, wasm.atLeast, wasm.leaveIf],
      ]),
    ];
  }

  /** Put the tile into quarters of C, or add it to them. */
  private update(to: Product["to"], fresh: readonly boolean[]): Code[] {
    const places = this.pointers;
    const each = Array.from({ length: PANEL / LANES }, (_, index) => index * VECTOR);
    const value = this.vectors[0] as number;
    const store = (index: number, sign: Sign, offset: number): Code[] => {
      const place = get(places[index] as number);
      const before = [place, four.load(offset), get(value), sign > 0 ? four.add : four.subtract];
      return [place, ...(fresh[index] ? [get(value)] : before), four.store(offset)];
    };
    return [
      ...this.set(this.one, this.tile, 0),
      ...this.set(this.row, this.rows, 0),
      ...to.flatMap(([quarter], index) => this.set(places[index] as number, this.c[quarter], 0)),
      wasm.loop([
        ...this.set(this.column, this.columns, 0),
        wasm.loop([
          ...each.flatMap((offset) => [
            ...[get(this.one), four.load(offset), set(value)],
            ...to.flatMap(([, sign], index) => store(index, sign, offset)),
          ]),
          ...advance(this.one, PANEL_ROW),
          ...to.flatMap((_, index) => advance(places[index] as number, PANEL_ROW)),
          ...reduce(this.column, PANEL),
          ...[get(this.column), wasm.isZero, wasm.leaveIf],
        ]),
        // To the same column of the next row.
        ...to.flatMap((_, index) => [
          ...[get(places[index] as number), get(this.rowC), wasm.add],
          ...[get(this.columns), constant(2), wasm.shiftLeft, wasm.subtract, set(places[index] as number)],
        ]),
        ...reduce(this.row, 1),
        ...[get(this.row), wasm.isZero, wasm.leaveIf],
      ]),
    ];
  }

  /** All sums of A's quarters in one reading. */
  private sumsOfA(): Code[] {
    const vector = (quarter: Quarter) => get(this.vectors[quarter] as number);
    return [
      ...this.a.flatMap((quarter, index) => this.set(this.pointers[index] as number, quarter, 0)),
      ...[constant(0), set(this.to)],
      ...this.set(this.row, this.rows, 0),
      wasm.loop([
        ...this.set(this.column, this.steps, 0),
        wasm.loop([
          ...this.pointers.flatMap((pointer, index) => [
            ...[get(pointer), four.load(0), set(this.vectors[index] as number)],
            ...advance(pointer, VECTOR),
          ]),
          ...SUMS.flatMap(([first, sign, second], index) => [
            ...[get(this.sumPlaces[index] as number), get(this.to), wasm.add],
            ...[vector(first), vector(second as Quarter), sign === 1 ? four.add : four.subtract],
            four.store(0),
          ]),
          ...advance(this.to, VECTOR),
          ...reduce(this.column, LANES),
          ...[get(this.column), wasm.isZero, wasm.leaveIf],
        ]),
        ...this.pointers.flatMap((pointer) => [
          ...[get(pointer), get(this.rowA), wasm.add],
          ...[get(this.steps), constant(2), wasm.shiftLeft, wasm.subtract, set(pointer)],
        ]),
        ...reduce(this.row, 1),
        ...[get(this.row), wasm.isZero, wasm.leaveIf],
      ]),
    ];
  }

  /** Addresses of quarters of `width` columns and `height` rows, the first of which is at `from`. */
  private quarters(of: readonly number[], from: number, width: number, height: number, row: number): Code[] {
    const [first, right, below, last] = of as [number, number, number, number];
    const across = [get(width), constant(2), wasm.shiftLeft, wasm.add];
    return [
      ...this.set(first, from, 0),
      ...[get(first), ...across, set(right)],
      ...[get(first), get(height), get(row), wasm.multiply, wasm.add, set(below)],
      ...[get(below), ...across, set(last)],
    ];
  }

  /** The function itself for a part that is left over, by the replaced body. */
  private itself(rows: Code, columns: Code, b: Code): Code[] {
    return [
      ...[get(this.transA), get(this.transB), rows, columns, get(this.countK), get(this.alpha)],
      ...[
        get(this.matrixA),
        get(this.lda),
        b,
        get(this.ldb),
        get(this.beta),
        get(this.matrixC),
        get(this.ldc),
      ],
      wasm.call(this.calls.itself),
    ];
  }

  private set(local: number, from: number, offset: number): Code[] {
    return offset === 0 ? [get(from), set(local)] : [get(from), constant(offset), wasm.add, set(local)];
  }
}
