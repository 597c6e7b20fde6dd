/**
 * The inner loop of a product of matrices in float32, in place of the one of onnxruntime's MLAS.
 *
 * MLAS computes two rows of 16 columns at a time and reads its packed weights anew for every two rows: on 128
 * bits it waits for memory more than it computes. Here a tile has four to six rows of 8 columns, which is what
 * the 16 vector registers of a desktop processor hold (a phone's has 32), and its columns of weights serve all
 * rows before the next ones come. Each element is still summed in the order of k, so without `fused` the result
 * is MLAS's, bit by bit.
 *
 * The function (MlasSgemmKernelZero, MlasSgemmKernelAdd): C [M, N] = or += alpha * A [M, K] * B, which is packed
 * in panels of 16 columns, K rows each, the last one filled up with zeros. Strides are in elements. It gives
 * the number of rows that it has done: all.
 */

import * as wasm from "./assembler.ts";
import { type Code, FLOAT } from "./assembler.ts";

export interface GemmOptions {
  /** Add to C instead of overwriting it. */
  readonly adding: boolean;
  /** Multiply and add in one instruction, of relaxed SIMD. */
  readonly fused: boolean;
}

const VECTOR = 4 * FLOAT;
/** Columns of a tile: two vectors. A panel has two such halves. */
const COLUMNS = 8;
const PANEL = 16;
const PANEL_ROW = PANEL * FLOAT;
/** Steps of k in one turn of the innermost loop. */
const UNROLLED = 4;
/** More rows than these spill registers on 16; a product that is not fused needs one for itself. */
const ROWS = { fused: 6, plain: 5 } as const;

const { get, set, constant, four, advance, reduce } = wasm;

/** The body of the function, to be put in the place of MLAS's. */
export function gemm(options: GemmOptions): Uint8Array {
  return new Gemm(options).body();
}

class Gemm {
  private readonly most: number;
  private numbers = 0;
  private vectors = 0;

  // The parameters, in their order.
  private readonly a = 0;
  private readonly b = 1;
  private readonly c = 2;
  private readonly countK = 3;
  private readonly countM = 4;
  private readonly countN = 5;
  private readonly strideA = 6;
  private readonly strideC = 7;
  private readonly alpha = 8;

  private readonly rowA = this.number();
  private readonly rowC = this.number();
  private readonly place = this.number();
  private readonly steps = this.number();
  private readonly rowsLeft = this.number();
  /** Columns from the tile's first one on. */
  private readonly columns = this.number();
  /** Bytes from a panel's first column to the tile's. */
  private readonly half = this.number();
  private readonly pointers: readonly number[];

  private readonly scale: number;
  private readonly factor: number;
  private readonly weights: readonly [number, number];
  private readonly sums: readonly (readonly [number, number])[];

  constructor(private readonly options: GemmOptions) {
    this.most = options.fused ? ROWS.fused : ROWS.plain;
    this.pointers = Array.from({ length: this.most }, () => this.number());
    // Vectors come after all numbers.
    this.scale = this.vector();
    this.factor = this.vector();
    this.weights = [this.vector(), this.vector()];
    this.sums = Array.from({ length: this.most }, () => [this.vector(), this.vector()] as const);
  }

  body(): Uint8Array {
    const toBytes = (stride: number) => [get(stride), constant(2), wasm.shiftLeft, set(stride)];
    const code = [
      ...toBytes(this.strideA),
      ...toBytes(this.strideC),
      get(this.alpha),
      four.spread,
      set(this.scale),
      wasm.loop([...this.allRows(), ...this.nextPanel()]),
      get(this.countM),
    ];
    return wasm.functionBody(this.numbers, this.vectors, code);
  }

  /** A panel's columns of C, for every row. */
  private allRows(): Code[] {
    const copies = [
      [this.a, this.rowA],
      [this.c, this.rowC],
      [this.countM, this.rowsLeft],
    ] as const;
    const rest = Array.from({ length: this.most - 1 }, (_, index) => index + 1);
    return [
      ...copies.flatMap(([from, to]) => [get(from), set(to)]),
      wasm.loop([
        ...wasm.leaveBelow(this.rowsLeft, this.most),
        ...this.halves(this.most),
        ...this.move(this.rowA, this.most, this.strideA),
        ...this.move(this.rowC, this.most, this.strideC),
        ...reduce(this.rowsLeft, this.most),
      ]),
      // What is left is one tile of fewer rows.
      ...rest.map((rows) => wasm.when([get(this.rowsLeft), constant(rows), wasm.equal], this.halves(rows))),
    ];
  }

  /** Go on by a panel, which is K rows long, or leave the loop over them. */
  private nextPanel(): Code[] {
    return [
      ...[get(this.countN), constant(PANEL), wasm.atMost, wasm.leaveIf],
      ...reduce(this.countN, PANEL),
      ...advance(this.c, PANEL * FLOAT),
      ...[get(this.b), get(this.countK), constant(PANEL_ROW), wasm.multiply, wasm.add, set(this.b)],
    ];
  }

  /** Both halves of a panel for `rows` rows, one after the other while these rows of A are near. */
  private halves(rows: number): Code[] {
    return [
      ...[get(this.countN), set(this.columns), constant(0), set(this.half)],
      wasm.loop([
        ...this.tile(rows),
        ...[get(this.half), get(this.columns), constant(COLUMNS), wasm.atMost, wasm.or, wasm.leaveIf],
        ...reduce(this.columns, COLUMNS),
        ...[constant(COLUMNS * FLOAT), set(this.half)],
      ]),
    ];
  }

  /** `rows` rows of eight columns: sum over k, and put into C. */
  private tile(rows: number): Code[] {
    const sums = this.sums.slice(0, rows).flat();
    return [
      ...this.point(rows, [get(this.rowA)], this.strideA),
      ...[get(this.b), get(this.half), wasm.add, set(this.place), get(this.countK), set(this.steps)],
      ...sums.flatMap((sum) => [four.zero, set(sum)]),
      wasm.loop([...wasm.leaveBelow(this.steps, UNROLLED), ...this.multiply(rows, UNROLLED)]),
      wasm.loop([...[get(this.steps), wasm.isZero, wasm.leaveIf], ...this.multiply(rows, 1)]),
      ...this.point(rows, [get(this.rowC), get(this.half), wasm.add], this.strideC),
      ...sums.flatMap((sum) => [get(sum), get(this.scale), four.multiply, set(sum)]),
      wasm.when(
        [get(this.columns), constant(COLUMNS), wasm.atLeast],
        this.rowsOf(rows).flatMap(({ pointer, sum }) => [
          ...this.store(pointer, sum[0], 0, four.load, four.store),
          ...this.store(pointer, sum[1], VECTOR, four.load, four.store),
        ]),
        this.rowsOf(rows).flatMap(({ pointer, sum }) => this.storeSome(pointer, sum)),
      ),
    ];
  }

  private multiply(rows: number, steps: number): Code[] {
    const each = Array.from({ length: steps }, (_, step) => [
      ...this.weights.flatMap((weight, half) => [
        ...[get(this.place), four.load(step * PANEL_ROW + half * VECTOR), set(weight)],
      ]),
      ...this.rowsOf(rows).flatMap(({ pointer, sum }) => [
        ...[get(pointer), four.loadSpread(step * FLOAT), set(this.factor)],
        ...this.accumulate(this.weights[0], sum[0]),
        ...this.accumulate(this.weights[1], sum[1]),
      ]),
    ]).flat();
    const pointers = this.pointers.slice(0, rows);
    return [
      ...each,
      ...pointers.flatMap((pointer) => advance(pointer, steps * FLOAT)),
      ...advance(this.place, steps * PANEL_ROW),
      ...reduce(this.steps, steps),
    ];
  }

  private accumulate(weight: number, sum: number): Code[] {
    const added = wasm.multiplyAdd(get(this.factor), get(weight), get(sum), this.options.fused);
    return [...added, set(sum)];
  }

  /** Fewer than eight columns, by the bits of their number. */
  private storeSome(pointer: number, sum: readonly [number, number]): Code[] {
    const [first, second] = sum;
    const has = (columns: number) => [get(this.columns), constant(columns), wasm.and];
    return [
      wasm.when(has(4), [
        ...this.store(pointer, first, 0, four.load, four.store),
        ...[get(second), set(first)],
        ...advance(pointer, 4 * FLOAT),
      ]),
      wasm.when(has(2), [
        ...this.store(pointer, first, 0, four.loadTwo, four.storeTwo),
        ...[get(first), get(first), four.upper, set(first)],
        ...advance(pointer, 2 * FLOAT),
      ]),
      wasm.when(has(1), this.store(pointer, first, 0, four.loadOne, four.storeOne)),
    ];
  }

  private store(
    pointer: number,
    sum: number,
    offset: number,
    load: (offset: number) => Code,
    store: (offset: number) => Code,
  ): Code[] {
    const before = this.options.adding ? [get(pointer), load(offset), four.add] : [];
    return [get(pointer), get(sum), ...before, store(offset)];
  }

  /** The row pointers of a tile: one stride after another. */
  private point(rows: number, first: readonly Code[], stride: number): Code[] {
    return this.pointers
      .slice(0, rows)
      .flatMap((pointer, row) =>
        row === 0
          ? [...first, set(pointer)]
          : [get(this.pointers[row - 1] as number), get(stride), wasm.add, set(pointer)],
      );
  }

  private move(pointer: number, rows: number, stride: number): Code[] {
    return [get(pointer), get(stride), constant(rows), wasm.multiply, wasm.add, set(pointer)];
  }

  private rowsOf(rows: number): { pointer: number; sum: readonly [number, number] }[] {
    return this.sums.slice(0, rows).map((sum, row) => ({ pointer: this.pointers[row] as number, sum }));
  }

  private number(): number {
    return this.alpha + ++this.numbers;
  }

  private vector(): number {
    return this.alpha + this.numbers + ++this.vectors;
  }
}
