/**
 * The loops over quarters of matrices that Strassen's algorithm (strassen.ts) has beside its products: sums of A, sums
 * of B while they are packed, and C from the tile that a product was made in.
 */

import * as wasm from "./assembler.ts";
import { type Code, FLOAT } from "./assembler.ts";

export type Sign = 1 | -1;
/** Quarters in the order of reading: 11, 12, 21, 22. */
export type Quarter = 0 | 1 | 2 | 3;
/** One quarter, or two of which the second is added or taken away. */
export type Sum = readonly [Quarter] | readonly [Quarter, Sign, Quarter];
export type Four = readonly [number, number, number, number];

/** Locals that every loop may use. */
export interface Scratch {
  readonly row: number;
  readonly column: number;
  readonly size: number;
  readonly pointers: Four;
  readonly vectors: Four;
}

/** Columns of packed weights side by side. */
export const PANEL = 16;
export const LANES = 4;
const VECTOR = LANES * FLOAT;
export const PANEL_ROW = PANEL * FLOAT;
const OF_A_PANEL = [0, VECTOR, 2 * VECTOR, 3 * VECTOR] as const;

const { get, set, constant, four, advance, reduce } = wasm;

/** One local's value, plus bytes, into another. */
export function assign(local: number, from: number, offset = 0): Code[] {
  return offset === 0 ? [get(from), set(local)] : [get(from), constant(offset), wasm.add, set(local)];
}

/** Add elements, as bytes, to what the stack holds. */
export function across(elements: number): Code[] {
  return [get(elements), constant(2), wasm.shiftLeft, wasm.add];
}

/** Add whole rows, of so many bytes, to what the stack holds. */
export function down(rows: number, bytes: number): Code[] {
  return [get(rows), get(bytes), wasm.multiply, wasm.add];
}

/** Again and again, while a local that is not zero counts down to it. */
function countdown(local: number, by: number, body: readonly Code[]): Code {
  return wasm.loop([...body, ...reduce(local, by), get(local), wasm.isZero, wasm.leaveIf]);
}

/** From behind `width` columns of a row to the first of them in the next one. */
function toNextRow(pointer: number, bytes: number, width: number): Code[] {
  return [
    get(pointer),
    get(bytes),
    wasm.add,
    get(width),
    constant(2),
    wasm.shiftLeft,
    wasm.subtract,
    set(pointer),
  ];
}

/**
 * `rows` rows of `columns` columns into panels of 16 columns: of one matrix, or of two, added or taken away.
 *
 * Row by row, because a row of weights lies in one piece of memory and the next one far away.
 */
export function packed(
  scratch: Scratch,
  from: readonly number[],
  sign: Sign | undefined,
  size: { readonly rows: number; readonly columns: number; readonly bytes: number; readonly into: number },
): Code[] {
  const [first, second, to, panel] = scratch.pointers;
  const sources = [first, second].slice(0, from.length);
  const value = (offset: number): Code[] => [
    ...sources.flatMap((source) => [get(source), four.load(offset)]),
    ...(sign === undefined ? [] : [sign > 0 ? four.add : four.subtract]),
  ];
  return [
    ...sources.flatMap((source, index) => assign(source, from[index] as number)),
    ...assign(panel, size.into),
    ...[get(size.rows), constant(PANEL_ROW), wasm.multiply, set(scratch.size)],
    ...assign(scratch.row, size.rows),
    countdown(scratch.row, 1, [
      ...assign(to, panel),
      ...assign(scratch.column, size.columns),
      countdown(scratch.column, PANEL, [
        ...OF_A_PANEL.flatMap((offset) => [get(to), ...value(offset), four.store(offset)]),
        ...sources.flatMap((source) => advance(source, PANEL_ROW)),
        ...[get(to), get(scratch.size), wasm.add, set(to)],
      ]),
      ...sources.flatMap((source) => toNextRow(source, size.bytes, size.columns)),
      ...advance(panel, PANEL_ROW),
    ]),
  ];
}

/** Put a tile into quarters of C, add it to them, or take it from them. `tile` is lost. */
export function fromTile(
  scratch: Scratch,
  tile: number,
  to: readonly { readonly quarter: number; readonly sign: Sign; readonly fresh: boolean }[],
  size: { readonly rows: number; readonly columns: number; readonly bytes: number },
): Code[] {
  const value = scratch.vectors[0];
  const places = to.map((one, index) => ({ ...one, place: scratch.pointers[index] as number }));
  return [
    ...assign(scratch.row, size.rows),
    ...places.flatMap(({ place, quarter }) => assign(place, quarter)),
    countdown(scratch.row, 1, [
      ...assign(scratch.column, size.columns),
      countdown(scratch.column, PANEL, [
        ...OF_A_PANEL.flatMap((offset) => [
          ...[get(tile), four.load(offset), set(value)],
          ...places.flatMap(({ place, sign, fresh }) => [
            get(place),
            ...(fresh ? [] : [get(place), four.load(offset)]),
            get(value),
            ...(fresh ? [] : [sign > 0 ? four.add : four.subtract]),
            four.store(offset),
          ]),
        ]),
        ...advance(tile, PANEL_ROW),
        ...places.flatMap(({ place }) => advance(place, PANEL_ROW)),
      ]),
      ...places.flatMap(({ place }) => toNextRow(place, size.bytes, size.columns)),
    ]),
  ];
}

/** All sums of a matrix's quarters in one reading, each into a place of its own without gaps between rows. */
export function summed(
  scratch: Scratch,
  quarters: Four,
  sums: readonly (readonly [Sum, number])[],
  size: { readonly rows: number; readonly columns: number; readonly bytes: number },
): Code[] {
  const vector = (quarter: Quarter) => get(scratch.vectors[quarter]);
  const value = ([first, sign, second]: Sum): Code[] =>
    second === undefined
      ? [vector(first)]
      : [vector(first), vector(second), sign === 1 ? four.add : four.subtract];
  return [
    ...scratch.pointers.flatMap((pointer, index) => assign(pointer, quarters[index] as number)),
    ...[constant(0), set(scratch.size)],
    ...assign(scratch.row, size.rows),
    countdown(scratch.row, 1, [
      ...assign(scratch.column, size.columns),
      countdown(scratch.column, LANES, [
        ...scratch.pointers.flatMap((pointer, index) => [
          ...[get(pointer), four.load(0), set(scratch.vectors[index] as number)],
          ...advance(pointer, VECTOR),
        ]),
        ...sums.flatMap(([sum, place]) => [
          ...[get(place), get(scratch.size), wasm.add, ...value(sum), four.store(0)],
        ]),
        ...advance(scratch.size, VECTOR),
      ]),
      ...scratch.pointers.flatMap((pointer) => toNextRow(pointer, size.bytes, size.columns)),
    ]),
  ];
}
