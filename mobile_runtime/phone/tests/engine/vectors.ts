/** The golden vectors that torch and the real ComfyUI wrote, and how close is close. */

import { readFileSync } from "node:fs";
import { expect } from "vitest";

const FOLDER = new URL("../../../../tests/vectors/", import.meta.url);

// biome-ignore lint/suspicious/noExplicitAny: cases are read as the files have them
export type Case = any;

export function load(name: string): { cases: Case[]; tolerance: number } {
  const data = JSON.parse(readFileSync(new URL(`${name}.json`, FOLDER), "utf8"));
  expect(data.cases.length).toBeGreaterThan(0);
  return data;
}

/** Like numpy's assert_allclose: |found - expected| <= absolute + relative |expected|. */
export function expectClose(
  found: ArrayLike<number>,
  expected: ArrayLike<number>,
  absolute: number,
  relative = 0,
  where = "",
): void {
  expect(found.length, where).toBe(expected.length);
  let worst = -1;
  for (let i = 0; i < found.length; i++) {
    const [a, b] = [found[i] as number, expected[i] as number];
    if (!(Math.abs(a - b) <= absolute + relative * Math.abs(b))) worst = i;
  }
  const told = worst < 0 ? "" : `${where} [${worst}]: ${found[worst]} instead of ${expected[worst]}`;
  expect(told).toBe("");
}

export function floats(values: ArrayLike<number>, shape: readonly number[]) {
  return { data: Float32Array.from(values), shape };
}
