/**
 * The transpose of a matrix of 32-bit elements, in place of MLAS's, which moves one element at a time.
 *
 * Here blocks of 4 x 4 are turned within registers. A strip has 16 columns, so that every line of the cache that is
 * read is used up at once.
 *
 * The function (a task of MlasTranspose): the work (how many tasks there are, input, output, rows M, columns N) and the
 * number of this task, which takes its share of the rows.
 */

import * as wasm from "./assembler.ts";
import { type Code, FLOAT } from "./assembler.ts";

const SIDE = 4;
const STRIP = 16;
const AT = { tasks: 0, input: 4, output: 8, rows: 12, columns: 16 } as const;

const [WORK, TASK] = [0, 1];
const [START, COUNT, COLUMNS, ROW_IN, ROW_OUT] = [2, 3, 4, 5, 6];
const [STRIP_IN, STRIP_OUT, IN, OUT, LEFT, TO] = [7, 8, 9, 10, 11, 12];
const NUMBERS = 11;
const VECTORS = [13, 14, 15, 16, 17, 18, 19, 20];

const { get, set, constant, four, advance, reduce } = wasm;
const field = (offset: number): Code[] => [get(WORK), wasm.load(offset)];
const next = (local: number, bytes: number): Code[] => [get(local), get(bytes), wasm.add, set(local)];
const assign = (local: number, from: number): Code[] => [get(from), set(local)];

/** The body of the function, to be put in the place of MLAS's. */
export function transpose(): Uint8Array {
  return wasm.functionBody(NUMBERS, VECTORS.length, [
    ...share(),
    ...[...field(AT.columns), set(COLUMNS)],
    ...[get(COLUMNS), constant(2), wasm.shiftLeft, set(ROW_IN)],
    ...[...field(AT.rows), constant(2), wasm.shiftLeft, set(ROW_OUT)],
    ...[...field(AT.input), get(START), get(ROW_IN), wasm.multiply, wasm.add, set(STRIP_IN)],
    ...[...field(AT.output), get(START), constant(2), wasm.shiftLeft, wasm.add, set(STRIP_OUT)],
    ...[STRIP, SIDE, 1].map(strips),
  ]);
}

/** The first row and the number of rows of this task: the first tasks have one more where rows are left over. */
function share(): Code[] {
  const [each, more] = [IN, OUT];
  return [
    ...[...field(AT.rows), ...field(AT.tasks), wasm.divide, set(each)],
    ...[...field(AT.rows), get(each), ...field(AT.tasks), wasm.multiply, wasm.subtract, set(more)],
    ...[get(each), get(TASK), get(more), wasm.below, wasm.add, set(COUNT)],
    ...[get(TASK), get(each), wasm.multiply, ...wasm.least(TASK, more), wasm.add, set(START)],
  ];
}

/** Strips of so many columns, as long as there are that many. */
function strips(width: number): Code {
  return wasm.loop([
    ...wasm.leaveBelow(COLUMNS, width),
    ...assign(IN, STRIP_IN),
    ...assign(OUT, STRIP_OUT),
    ...assign(LEFT, COUNT),
    ...(width < SIDE ? [] : [wasm.loop([...wasm.leaveBelow(LEFT, SIDE), ...blocks(width)])]),
    wasm.loop([...[get(LEFT), wasm.isZero, wasm.leaveIf], ...elements(width)]),
    ...advance(STRIP_IN, width * FLOAT),
    ...Array.from({ length: width }, () => next(STRIP_OUT, ROW_OUT)).flat(),
    ...reduce(COLUMNS, width),
  ]);
}

/** Four rows of a strip: blocks side by side, which come to lie below each other. */
function blocks(width: number): Code[] {
  const [a, b, c, d, ab, cd, abUpper, cdUpper] = VECTORS as Eight;
  const rows = [a, b, c, d];
  const block = (column: number): Code[] => [
    ...assign(TO, IN),
    ...rows.flatMap((row) => [get(TO), four.load(column * FLOAT), set(row), ...next(TO, ROW_IN)]),
    ...[get(a), get(b), four.zipLower, set(ab), get(a), get(b), four.zipUpper, set(abUpper)],
    ...[get(c), get(d), four.zipLower, set(cd), get(c), get(d), four.zipUpper, set(cdUpper)],
    ...[
      [ab, cd, four.lowerHalves],
      [ab, cd, four.upperHalves],
      [abUpper, cdUpper, four.lowerHalves],
      [abUpper, cdUpper, four.upperHalves],
    ].flatMap(([one, two, halves]) => [
      ...[get(OUT), get(one as number), get(two as number), halves as Code, four.store(0)],
      ...next(OUT, ROW_OUT),
    ]),
  ];
  const columns = Array.from({ length: width / SIDE }, (_, index) => index * SIDE);
  return [
    ...columns.flatMap(block),
    ...Array.from({ length: SIDE }, () => next(IN, ROW_IN)).flat(),
    ...back(width),
    ...advance(OUT, SIDE * FLOAT),
    ...reduce(LEFT, SIDE),
  ];
}

/** One row of a strip. */
function elements(width: number): Code[] {
  const columns = Array.from({ length: width }, (_, index) => index);
  return [
    ...columns.flatMap((column) => [
      ...[get(OUT), get(IN), wasm.load(column * FLOAT), wasm.store(0)],
      ...next(OUT, ROW_OUT),
    ]),
    ...next(IN, ROW_IN),
    ...back(width),
    ...advance(OUT, FLOAT),
    ...reduce(LEFT, 1),
  ];
}

/** To the strip's first row of the output. */
function back(width: number): Code[] {
  return [get(OUT), get(ROW_OUT), constant(width), wasm.multiply, wasm.subtract, set(OUT)];
}

type Eight = [number, number, number, number, number, number, number, number];
