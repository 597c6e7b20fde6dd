/**
 * 1 / (1 + e^-x) of many numbers in float32, in place of MLAS's: SiLU and GELU wait for it.
 *
 * The same quotient of two polynomials in x^2 as MLAS's, which is Eigen's, by the same steps, so without
 * `fused` the result is the same, bit by bit. MLAS computes one vector at a time, whose steps wait for each
 * other, and keeps bounds with an instruction that costs seven on x86; here four vectors go side by side.
 *
 * The function (MlasComputeLogistic): addresses of x and of the result, which may be one, and their number.
 */

import * as wasm from "./assembler.ts";
import { type Code, FLOAT } from "./assembler.ts";

const BOUND = 18;
/** From the highest power of x^2 down. */
const NUMERATOR = [
  4.37031012579801e-11, 1.15627324459942e-7, 6.08574864600143e-5, 8.51377133304701e-3, 2.48287947061529e-1,
];
const DENOMINATOR = [
  6.10247389755681e-13, 5.76102136993427e-9, 6.2910678501704e-6, 1.70198817374094e-3, 1.16817656904453e-1,
  9.9315192102318e-1,
];
const LANES = 4;
const SIDE_BY_SIDE = 4;

const { get, set, four } = wasm;

// The parameters, then the vectors: x, x^2, numerator and denominator of each that goes side by side.
const [INPUT, OUTPUT, COUNT] = [0, 1, 2];
const local = (part: number, index: number) => 3 + part * SIDE_BY_SIDE + index;
const x = (index: number) => local(0, index);
const square = (index: number) => local(1, index);
const above = (index: number) => local(2, index);
const below = (index: number) => local(3, index);

/** The body of the function, to be put in the place of MLAS's. */
export function logistic(fused: boolean): Uint8Array {
  return wasm.functionBody(0, 4 * SIDE_BY_SIDE, [
    turns(SIDE_BY_SIDE, LANES, fused, four.load, four.store),
    turns(1, LANES, fused, four.load, four.store),
    turns(1, 1, fused, four.loadOne, four.storeOne),
  ]);
}

/** As many turns as there are numbers for, each with some vectors of some lanes that are used. */
function turns(
  vectors: number,
  lanes: number,
  fused: boolean,
  load: (offset: number) => Code,
  store: (offset: number) => Code,
): Code {
  const count = vectors * lanes;
  const each = (code: (index: number) => Code[]) =>
    Array.from({ length: vectors }, (_, index) => code(index));
  const offset = (index: number) => index * LANES * FLOAT;
  const polynomial = (factors: readonly number[], sum: (index: number) => number) => {
    const [highest, next, ...rest] = factors.map(four.constant) as [Code, Code, ...Code[]];
    const step = (before: Code, index: number, factor: Code) => [
      ...wasm.multiplyAdd(before, get(square(index)), factor, fused),
      set(sum(index)),
    ];
    return [
      ...each((index) => step(highest, index, next)),
      ...rest.flatMap((factor) => each((index) => step(get(sum(index)), index, factor))),
    ].flat();
  };
  return wasm.loop([
    ...wasm.leaveBelow(COUNT, count),
    ...each((index) => [
      ...[get(INPUT), load(offset(index)), ...between(-BOUND, BOUND), set(x(index))],
      ...[get(x(index)), get(x(index)), four.multiply, set(square(index))],
    ]).flat(),
    ...polynomial(NUMERATOR, above),
    ...each((index) => [get(above(index)), get(x(index)), four.multiply, set(above(index))]).flat(),
    ...polynomial(DENOMINATOR, below),
    ...each((index) => [
      ...[get(OUTPUT), get(above(index)), get(below(index)), four.divide, four.constant(0.5), four.add],
      ...[...between(0, 1), store(offset(index))],
    ]).flat(),
    ...[INPUT, OUTPUT].flatMap((pointer) => wasm.advance(pointer, count * FLOAT)),
    ...wasm.reduce(COUNT, count),
  ]);
}

function between(low: number, high: number): Code[] {
  return [four.constant(high), four.least, four.constant(low), four.most];
}
