/**
 * LayerNormalization of one row in float32, before onnxruntime's own, which waits for a division for every number.
 *
 * The mean first, then the variance around it, then (x - mean) / sqrt(variance + epsilon) * scale + bias, sixteen numbers
 * at a time. Sums are made in another order than the replaced one's, so the last bits differ.
 *
 * The function (the task of ComputeJob): a closure of references (what is normalized, x, scale, bias, epsilon, whether
 * the mean is left out, y, and where mean and 1 / deviation are kept), and the number of the row. What has a scale for
 * every row, keeps something, leaves the mean out or is not of whole sixteens goes to the replaced body.
 */

import * as wasm from "./assembler.ts";
import { type Code, FLOAT } from "./assembler.ts";
import { withPrefix } from "./module.ts";
import { assign } from "./quarters.ts";

/** Where the closure has its references. */
const AT = {
  job: 0,
  x: 4,
  scale: 8,
  bias: 12,
  epsilon: 24,
  simplified: 28,
  y: 32,
  mean: 36,
  deviation: 40,
} as const;
/** Where the job has a row's length (64 bits), the repetition of scale (64 bits), and whether it is a general one. */
const JOB = { length: 8, repeated: 32, general: 40 } as const;
const LANES = 4;
const SIDE_BY_SIDE = 4;
const STEP = LANES * SIDE_BY_SIDE;
const TAKEN = 2;
const [CLOSURE, ROW] = [0, 1];

const { get, set, constant, four, advance } = wasm;

/** ComputeJob's task with the usual case before it. */
export function layerNorm(body: Uint8Array): Uint8Array {
  return withPrefix(body, TAKEN, (first) => {
    const numbers = 7;
    const [length, x, y, scale, bias, at, left] = [0, 1, 2, 3, 4, 5, 6].map(
      (index) => first + index,
    ) as Seven;
    const vector = (index: number) => first + numbers + index;
    const sums = Array.from({ length: SIDE_BY_SIDE }, (_, index) => vector(index));
    const [mean, deviation, value] = [vector(4), vector(5), vector(6)];
    const sum = sums[0] as number;

    const closure = (offset: number): Code[] => [get(CLOSURE), wasm.load(offset)];
    const behind = (offset: number): Code[] => [...closure(offset), wasm.load(0)];
    const job = (offset: number): Code[] => [...closure(AT.job), wasm.load(offset)];
    const none = (code: Code[]): Code[] => [...code, wasm.isZero];
    const suits = [
      none([...closure(AT.job), wasm.loadByte(JOB.general)]),
      none([...closure(AT.simplified), wasm.loadByte(0)]),
      none(behind(AT.mean)),
      none(behind(AT.deviation)),
      none(job(JOB.repeated)),
      none(job(JOB.repeated + 4)),
      none(job(JOB.length + 4)),
      none([...job(JOB.length), constant(STEP - 1), wasm.and]),
      [...none(none(job(JOB.length)))],
      [...none(none(behind(AT.scale)))],
    ].flatMap((condition, index) => (index === 0 ? condition : [...condition, wasm.and]));

    /** Over a row, sixteen numbers a turn: `code` gets the place of each vector in them. */
    const over = (code: (index: number, offset: number) => Code[]): Code[] => [
      ...[constant(0), set(at)],
      ...assign(left, length),
      wasm.loop([
        ...sums.flatMap((_, index) => code(index, index * LANES * FLOAT)),
        ...advance(at, STEP * FLOAT),
        ...wasm.reduce(left, STEP),
        ...[get(left), wasm.isZero, wasm.leaveIf],
      ]),
    ];
    const load = (from: number, offset: number): Code[] => [get(from), get(at), wasm.add, four.load(offset)];
    const add = (one: number, two: number): Code[] => [get(one), get(two), four.add, set(one)];
    /** The mean of all that the sums hold, in every lane. */
    const meanOf = (into: number): Code[] => [
      ...sums.slice(1).flatMap((other) => add(sum, other)),
      ...[four.swapHalves, four.swapNeighbours].flatMap((swapped) => [
        ...[get(sum), get(sum), swapped, get(sum), four.add, set(sum)],
      ]),
      ...[get(sum), get(length), four.spreadNumber, four.divide, set(into)],
    ];
    const clear = sums.flatMap((one) => [four.zero, set(one)]);
    const centred = (offset: number): Code[] => [...load(x, offset), get(mean), four.subtract];
    const row = (offset: number): Code[] => [
      ...behind(offset),
      ...[get(ROW), get(length), wasm.multiply, constant(2), wasm.shiftLeft, wasm.add],
    ];
    const write = (biased: boolean): Code[] =>
      over((_, offset) => [
        ...[get(y), get(at), wasm.add],
        ...[...centred(offset), get(deviation), four.divide, ...load(scale, offset), four.multiply],
        ...(biased ? [...load(bias, offset), four.add] : []),
        four.store(offset),
      ]);
    const code = wasm.when(suits, [
      ...[...job(JOB.length), set(length)],
      ...[...row(AT.x), set(x), ...row(AT.y), set(y)],
      ...[...behind(AT.scale), set(scale), ...behind(AT.bias), set(bias)],
      ...clear,
      ...over((index, offset) => [
        ...[get(sums[index] as number), ...load(x, offset), four.add, set(sums[index] as number)],
      ]),
      ...meanOf(mean),
      ...clear,
      ...over((index, offset) => [
        ...[...centred(offset), set(value)],
        ...[get(value), get(value), four.multiply, get(sums[index] as number), four.add],
        set(sums[index] as number),
      ]),
      ...meanOf(deviation),
      ...[get(deviation), ...closure(AT.epsilon), four.loadSpread(0), four.add, four.root, set(deviation)],
      wasm.when([get(bias)], write(true), write(false)),
      wasm.leave,
    ]);
    return { numbers, vectors: SIDE_BY_SIDE + 3, code: Uint8Array.from(code) };
  });
}

type Seven = [number, number, number, number, number, number, number];
