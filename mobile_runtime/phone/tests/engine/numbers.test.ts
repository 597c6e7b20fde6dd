/** The phone's arithmetic passes the golden vectors that torch and the real ComfyUI wrote. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { TextFeatures, Velocities } from "../../src/engine/numbers/flow";
import { FlowModel, sample } from "../../src/engine/numbers/flow";
import { combine } from "../../src/engine/numbers/guidance";
import { LeapController } from "../../src/engine/numbers/leap";
import { cosineSimilarity } from "../../src/engine/numbers/leaping";
import { inside, mergeArrays } from "../../src/engine/numbers/merging";
import { cropAndResize } from "../../src/engine/numbers/resize";
import { normal } from "../../src/engine/numbers/rng";
import { SAMPLERS } from "../../src/engine/numbers/samplers";
import { calculateSigmas, SCHEDULES, TABLE_SIZE } from "../../src/engine/numbers/schedules";
import { part, planSigmas } from "../../src/engine/numbers/scheduling";
import { decodeTiled } from "../../src/engine/numbers/tiling";
import { PromptTokenizer } from "../../src/engine/text/tokenizer";
import { type Case, expectClose, floats, load } from "./vectors";

const SCHEMA = JSON.parse(
  readFileSync(new URL("../../../bundle/manifest.schema.json", import.meta.url), "utf8"),
).$defs;

function features(value: number): TextFeatures {
  return { context: floats([value], [1, 1, 1]), mask: floats([1], [1, 1]) };
}

/** The field that sampling.json describes: 0.5 x + c cos(3 t) - 0.25 t, t the frame's own time. */
const field: Velocities = async (latent, timestep, texts) =>
  texts.map((text) => {
    const [, , frames, height, width] = latent.shape as [number, number, number, number, number];
    const context = text.context.data[0] as number;
    return Float32Array.from(latent.data, (x, i) => {
      const time = timestep.data[Math.floor(i / (height * width)) % frames] as number;
      return 0.5 * x + context * Math.cos(3 * time) - 0.25 * time;
    });
  });

test("noise is torch's", () => {
  const { cases, tolerance } = load("noise");
  for (const one of cases) {
    const found = normal(BigInt(one.seed), [one.size]).data;
    expectClose(found.subarray(0, 20), one.first, tolerance);
    expectClose(found.subarray(-20), one.last, tolerance);
    const sum = found.reduce((total, value) => total + value, 0);
    expect(Math.abs(sum - one.sum)).toBeLessThanOrEqual(tolerance * one.size);
  }
});

test("a seed out of range is refused", () => {
  for (const seed of [-1n, 2n ** 64n]) expect(() => normal(seed, [4])).toThrow("not within 0 to 2");
});

test("schedules are ComfyUI's", () => {
  const { cases, tolerance } = load("schedules");
  expect(new Set(cases.map((one) => one.schedule))).toEqual(new Set(Object.keys(SCHEDULES)));
  for (const one of cases) {
    const found = calculateSigmas(one.schedule, one.steps, one.shift, {
      multiplier: one.multiplier,
      denoise: one.denoise,
      curve: one.curve,
      dropPenultimate: one.drop_penultimate,
    });
    expectClose(found, one.sigmas, tolerance, 0, `${one.schedule} ${one.steps} ${one.shift} ${one.curve}`);
  }
});

test("what a plan says of sigmas", () => {
  const { cases, tolerance } = load("parts");
  for (const one of cases) {
    // One sigma is no step: ComfyUI then gives the latent back as it is.
    const expected = one.sigmas.length > 1 ? one.sigmas : [];
    expectClose(planSigmas(one.schedule, one.steps), expected, tolerance, 0, JSON.stringify(one.schedule));
  }
});

test("guidance is ComfyUI's", () => {
  const { cases, tolerance } = load("guidance");
  for (const one of cases) {
    const [positive, negative] = [Float32Array.from(one.positive), Float32Array.from(one.negative)];
    expectClose(combine(positive, negative, one.scale), one.result, tolerance, tolerance);
  }
});

test("every sampler gives what ComfyUI's does", async () => {
  const { cases, tolerance } = load("sampling");
  expect(new Set(cases.map((one) => one.sampler))).toEqual(new Set(Object.keys(SAMPLERS)));
  for (const one of cases) await oneSampling(one, tolerance);
});

async function oneSampling(one: Case, tolerance: number): Promise<void> {
  const shape: number[] = one.shape;
  const latent = one.latent === null ? null : floats(one.latent, shape);
  const model = new FlowModel(
    field,
    {
      positive: features(one.positive),
      negative: one.negative === null ? null : features(one.negative),
      scale: one.scale,
      firstFrame:
        one.first_frame === null
          ? null
          : floats(one.first_frame, [1, shape[1] as number, 1, ...shape.slice(3)]),
      latent,
      keepFirstFrame: one.keep_first_frame,
      multiplier: 1,
    },
    shape,
  );
  const sigmas = part(calculateSigmas(one.schedule, one.steps, one.shift), one.start ?? 0, one.end);
  const told: number[] = [];
  const noise = one.noise === null ? null : floats(one.noise, shape);
  const tell = (step: number) => told.push(step);
  const found = await sample(model, noise, sigmas, one.sampler, tell, one.leap ?? null);
  const where = `${one.sampler} ${one.steps} ${one.scale}`;
  expectClose(found.latent.data, one.result, tolerance, tolerance, where);
  expect(found.step, where).toBe(one.leapt);
  // A later op of the plan may use the same latent again.
  if (latent !== null) expect(latent.data).toEqual(Float32Array.from(one.latent));
  const steps = Math.min(one.steps, one.end ?? one.steps) - (one.start ?? 0);
  if (found.step !== null) {
    expect(told, where).toEqual([...Array(found.step).keys(), steps - 1]);
    return;
  }
  expect(told, where).toEqual([...Array(steps).keys()]);
  // Samplers of second order look ahead once in every step that does not end at 0.
  const ahead = ["heun", "dpm_2"].includes(one.sampler) ? steps - Number(one.end === undefined) : 0;
  const guided = one.negative !== null && one.scale !== 1;
  expect(model.evaluations, where).toBe((steps + ahead) * (guided ? 2 : 1));
}

test("fresh noise between steps is what the host draws", async () => {
  const { cases, tolerance } = load("renoise");
  for (const one of cases) {
    const shape: number[] = one.shape;
    const first =
      one.first_frame === null
        ? null
        : floats(one.first_frame, [1, shape[1] as number, 1, ...shape.slice(3)]);
    const conditions = { positive: features(one.positive), negative: null, scale: 1, firstFrame: first };
    const rest = { latent: null, keepFirstFrame: false, multiplier: 1 };
    const model = new FlowModel(field, { ...conditions, ...rest }, shape);
    const [seed, sigmas] = [BigInt(one.seed), Float32Array.from(one.sigmas)];
    const told: number[] = [];
    const tell = (step: number) => told.push(step);
    const found = await sample(model, normal(seed, shape), sigmas, "renoise", tell, null, seed);
    expectClose(found.latent.data, one.result, tolerance, tolerance);
    expect(told).toEqual([...Array(sigmas.length - 1).keys()]);
  }
});

test("leaps come where the desk's come", async () => {
  const { cases, tolerance } = load("leap");
  expect(new Set(cases.map((one) => one.kind))).toEqual(new Set(["decision", "similarity", "run"]));
  for (const one of cases) {
    if (one.kind === "decision") {
      const controller = new LeapController(one.config, one.steps);
      const curve = [null, ...one.curve.map((value: number | null) => value ?? Number.NaN)];
      const steps = [...Array(one.steps).keys()];
      const found = steps.find((step) => controller.observe(step, curve[step] ?? null)) ?? null;
      expect(found, JSON.stringify(one.config)).toBe(one.leap);
    } else if (one.kind === "similarity") {
      const found = cosineSimilarity(Float32Array.from(one.first), Float32Array.from(one.second));
      expect(Math.abs(found - one.similarity)).toBeLessThanOrEqual(tolerance);
    } else {
      const conditions = {
        positive: features(0.4),
        negative: null,
        scale: 1,
        firstFrame: null,
        latent: null,
        keepFirstFrame: false,
        multiplier: 1,
      };
      const model = new FlowModel(field, conditions, one.shape);
      const sigmas = calculateSigmas("simple", one.steps, 3);
      const found = await sample(model, floats(one.noise, one.shape), sigmas, "euler", () => {}, one.config);
      expect(found.step).toBe(one.leap);
      expectClose(found.latent.data, one.result, tolerance, tolerance);
    }
  }
});

test("what a merging network is told, and when it runs", () => {
  const { cases } = load("merging");
  for (const one of cases) {
    const merge = { component: "twin", ...one.merge };
    if (one.kind === "window") {
      for (const [sigma, merges] of one.sigmas) expect(inside(merge, sigma)).toBe(merges);
      continue;
    }
    const found = mergeArrays(merge, one.grid, one.first_frame_given);
    const where = JSON.stringify([one.merge, one.grid, one.first_frame_given]);
    expect(found === null, where).toBe(one.inputs === null);
    if (found === null) continue;
    expect(Object.keys(found).sort(), where).toEqual(Object.keys(one.inputs).sort());
    for (const [name, values] of Object.entries<number[]>(one.inputs)) {
      const made = found[name];
      expect(Array.from(made?.data ?? [], Number), `${where} ${name}`).toEqual(values);
      expect(made?.data instanceof Float32Array).toBe(name === "merge_sizes");
      expect(made?.shape).toEqual(name === "merge_back" ? one.grid : [values.length]);
    }
  }
});

test("tiles are blended as ComfyUI blends them", async () => {
  const { cases, tolerance } = load("tiling");
  for (const one of cases) {
    let seen = 0;
    const done: [number, number][] = [];
    const decode = async (piece: { data: Float32Array; shape: readonly number[] }) => {
      seen++;
      return vectorDecoder(piece, one.scale);
    };
    const latent = floats(one.latent, one.shape);
    const found = await decodeTiled(latent, decode, one, (...told) => done.push(told));
    expect(found.shape).toEqual(one.result_shape);
    expectClose(found.data, one.result, tolerance);
    expect(done).toEqual(Array.from({ length: seen }, (_, i) => [i + 1, seen]));
  }
});

/** Two channels and their mean, plus the mean of all; cells repeated; the first scale - 1 frames left out. */
function vectorDecoder(piece: { data: Float32Array; shape: readonly number[] }, scale: number[]) {
  const [, , f, h, w] = piece.shape as [number, number, number, number, number];
  const [st, sy, sx] = scale as [number, number, number];
  const mean = piece.data.reduce((sum, value) => sum + value, 0) / piece.data.length;
  const size = f * h * w;
  const shape = [1, 3, f * st - (st - 1), h * sy, w * sx] as const;
  const data = new Float32Array(3 * shape[2] * shape[3] * shape[4]);
  let i = 0;
  for (let c = 0; c < 3; c++)
    for (let t = 0; t < shape[2]; t++)
      for (let y = 0; y < shape[3]; y++)
        for (let x = 0; x < shape[4]; x++) {
          const cell = (Math.floor((t + st - 1) / st) * h + Math.floor(y / sy)) * w + Math.floor(x / sx);
          const [a, b] = [piece.data[cell] as number, piece.data[size + cell] as number];
          data[i++] = (c === 0 ? a : c === 1 ? b : (a + b) / 2) + mean;
        }
  return { data, shape };
}

test("photos are cropped and resized as ComfyUI does it", () => {
  const { cases, tolerance } = load("resize");
  for (const one of cases) {
    const [height, width] = one.shape;
    const pixels = { data: Uint8Array.from(one.pixels), width, height, channels: 3 as const };
    expectClose(cropAndResize(pixels, one.width, one.height).data, one.result, tolerance);
  }
});

test.each(["bpe", "t5", "umt5"])("prompts become the desk's tokens (%s)", (kind) => {
  const one = load("tokenizers").cases.find((each) => each.kind === kind);
  const data = new TextEncoder().encode(JSON.stringify(one.tokenizer));
  const tokenizer = new PromptTokenizer(data, one.max_tokens, one.pad_id);
  for (const { text, ids } of one.texts) {
    const found = tokenizer.encode(text);
    const padding = new Array(one.max_tokens - ids.length);
    expect.soft(Array.from(found.ids, Number), text).toEqual([...ids, ...padding.fill(one.pad_id)]);
    expect.soft(Array.from(found.mask, Number), text).toEqual([...ids.map(() => 1), ...padding.fill(0)]);
  }
});

test("every name of the schema is implemented", () => {
  expect(new Set(SCHEMA.Denoise.properties.sampler.enum)).toEqual(
    new Set([...Object.keys(SAMPLERS), "renoise"]),
  );
  expect(new Set(SCHEMA.NamedSchedule.properties.name.enum)).toEqual(new Set(Object.keys(SCHEDULES)));
  expect(new Set(SCHEMA.NamedSchedule.properties.curve.enum)).toEqual(new Set(Object.keys(TABLE_SIZE)));
});
