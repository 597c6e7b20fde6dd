/** What a stranger's bundle may do to the phone: nothing but be refused in one sentence. */

import { expect, test } from "vitest";
import { BundleError, InputError } from "../../src/engine";
import { checkManifest } from "../../src/engine/bundle/check";
import { checkGraph } from "../../src/engine/bundle/graph";
import { RESULT } from "../../src/engine/bundle/plan";
import { readLayout } from "../../src/engine/bundle/safetensors";
import { fromHalf, toHalf } from "../../src/engine/numbers/half";
import { describeInputs, resolveInputs } from "../../src/engine/plan/inputs";
import { hold, spread } from "../../src/engine/runtime/hold";
import { rightManifest } from "./manifest";

test("a right manifest is taken, and it has every op but those that need more", () => {
  const manifest = rightManifest();
  expect(() => checkManifest(manifest)).not.toThrow();
  expect(Object.keys(RESULT).length).toBe(8);
});

// biome-ignore lint/suspicious/noExplicitAny: what a stranger writes has no type
type Break = (manifest: any) => void;

test.each<[string, Break]>([
  [
    "manifest.version must be 1",
    (m) => {
      m.version = 2;
    },
  ],
  [
    "manifest must not have code",
    (m) => {
      m.code = "x";
    },
  ],
  [
    "manifest lacks plan",
    (m) => {
      delete m.plan;
    },
  ],
  [
    "manifest.plan[0].op must be one of",
    (m) => {
      m.plan[0].op = "run_python";
    },
  ],
  [
    "manifest.plan[0] must not have script",
    (m) => {
      m.plan[0].script = "x";
    },
  ],
  [
    "manifest.files[0].path must match",
    (m) => {
      m.files[0].path = "../graph.onnx";
    },
  ],
  [
    "manifest.files[0].bytes must be integer",
    (m) => {
      m.files[0].bytes = 1.5;
    },
  ],
  [
    "manifest.plan[3].schedule must not have tokens",
    (m) => {
      m.plan[3].schedule.tokens = 3;
    },
  ],
  [
    "manifest.inputs.seed.default must match",
    (m) => {
      m.inputs.seed.default = "-1";
    },
  ],
  [
    "manifest.inputs's key must match",
    (m) => {
      m.inputs["../x"] = m.inputs.prompt;
    },
  ],
  [
    "manifest.plan[3].latent is none of the kinds",
    (m) => {
      m.plan[3].latent = { input: "photo" };
    },
  ],
  [
    "uses 'lost.onnx' and does not list it",
    (m) => {
      m.components.decoder.graphs.main = "lost.onnx";
    },
  ],
  [
    "uses 'photo.png' where a .onnx file belongs",
    (m) => {
      m.components.decoder.graphs.main = "photo.png";
    },
  ],
  [
    "lists 'tokenizer.json' with 99999999 bytes",
    (m) => {
      m.files[3].bytes = 99999999;
    },
  ],
  [
    "The component 'decoder' has no graph 'side'",
    (m) => {
      m.components.decoder.stages[0].graph = "side";
    },
  ],
  [
    "The text encoder 'words' needs tokenizer",
    (m) => {
      delete m.components.words.pad_id;
    },
  ],
  [
    "The self-test names the component 'ghost'",
    (m) => {
      m.self_test.components.ghost = { min_psnr: 1 };
    },
  ],
  [
    "names the component 'toString', which the manifest lacks",
    (m) => {
      m.plan[4].component = "toString";
    },
  ],
  [
    "needs a vae_decoder and 'encoder' is a vae_encoder",
    (m) => {
      m.plan[4].component = "encoder";
    },
  ],
  [
    "The op 'noise' (noise) uses an id",
    (m) => {
      m.plan.push(m.plan[2]);
    },
  ],
  [
    "uses 'frames', which no earlier op makes",
    (m) => {
      m.plan[3].noise = { op: "frames" };
    },
  ],
  [
    "needs latent as first_frame and 'text' makes text features",
    (m) => {
      m.plan[3].first_frame = { op: "text" };
    },
  ],
  [
    "needs an input of type integer as steps",
    (m) => {
      m.plan[3].schedule.steps = { input: "motion" };
    },
  ],
  [
    "uses the input 'speed', which the manifest lacks",
    (m) => {
      m.plan[3].motion = { input: "speed" };
    },
  ],
  [
    "sets steps, so its bounds must lie within 1 to 1000",
    (m) => {
      m.inputs.steps.maximum = 9999;
    },
  ],
  [
    "asks for a batch of 2",
    (m) => {
      m.plan[2].shape[0] = 2;
    },
  ],
  [
    "elements and the limit is",
    (m) => {
      m.plan[2].shape = [1, 4096, 4096, 256, 1];
    },
  ],
  [
    "has neither noise nor a latent",
    (m) => {
      m.plan[3].noise = null;
    },
  ],
  [
    "keeps the first frame of a latent",
    (m) => {
      m.plan[3].keep_first_frame = true;
    },
  ],
  [
    "ends its schedule where it starts",
    (m) => {
      Object.assign(m.plan[3].schedule, { start: 2, end: 2 });
    },
  ],
  [
    "do not fall from step to step",
    (m) => {
      m.plan[3].schedule = { name: "manual", sigmas: [1, 0.5, 0.5], multiplier: 1 };
    },
  ],
  [
    "overlap by their whole size",
    (m) => {
      m.plan[4].tiles = { size: [2, 2, 2], overlap: [2, 0, 0], scale: [1, 1, 1] };
    },
  ],
  [
    "The default of the input 'prompt' is longer",
    (m) => {
      m.inputs.prompt.default = "x".repeat(11);
    },
  ],
  [
    "is not between its minimum and maximum",
    (m) => {
      m.inputs.motion.default = 11;
    },
  ],
  [
    "has a seed above 2^64-1",
    (m) => {
      m.inputs.seed.default = "18446744073709551616";
    },
  ],
  [
    "The plan writes 0 videos",
    (m) => {
      m.plan.pop();
    },
  ],
])("a manifest that is wrong is refused: %s", (sentence, change) => {
  const manifest = rightManifest();
  change(manifest);
  expect(() => checkManifest(manifest)).toThrow(sentence);
  expect(() => checkManifest(manifest)).toThrow(BundleError);
});

function safetensors(header: unknown, bytes: number): Uint8Array {
  const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const padded = Math.ceil(text.length / 8) * 8;
  const file = new Uint8Array(8 + padded + bytes).fill(32, 8, 8 + padded);
  new DataView(file.buffer).setBigUint64(0, BigInt(padded), true);
  file.set(text, 8);
  return file;
}

const F32 = (shape: unknown, begin: number, end: number) => ({
  dtype: "F32",
  shape,
  data_offsets: [begin, end],
});

test("a weight file's tensors are where its header says", () => {
  const file = safetensors({ b: F32([2], 8, 16), a: F32([1, 2], 0, 8), __metadata__: { x: "y" } }, 16);
  const { tensors } = readLayout("w", file, file.length);
  expect([...tensors.keys()]).toEqual(["a", "b"]);
  expect(tensors.get("b")).toEqual({ type: "float32", shape: [2], offset: file.length - 8, bytes: 8 });
});

test.each<[string, unknown, number]>([
  ["has a header that is not JSON", "{", 0],
  ["has a header that is not an object", "[]", 0],
  ["has bytes that no tensor uses", {}, 4],
  ["has a gap or an overlap before the tensor 'b'", { a: F32([2], 0, 8), b: F32([1], 4, 8) }, 8],
  ["ends before the tensor 'a' does", { a: F32([2], 0, 8) }, 4],
  ["gives the tensor 'a' a size that is not its shape's", { a: F32([3], 0, 8) }, 8],
  ["has a wrong shape or offset at the tensor 'a'", { a: F32([-1], 0, 8) }, 8],
  ["has a wrong shape or offset at the tensor 'a'", { a: F32([2 ** 60], 0, 2 ** 62) }, 8],
  [
    "in a type that a device does not know",
    { a: { dtype: "__proto__", shape: [], data_offsets: [0, 4] } },
    4,
  ],
  ["describes the tensor 'a' wrongly", { a: null }, 0],
])("a weight file that is wrong is refused: %s", (sentence, header, bytes) => {
  const file = safetensors(header, bytes);
  expect(() => readLayout("w.safetensors", file, file.length)).toThrow(sentence);
});

test("a header longer than its file is refused before it is read", () => {
  const file = new Uint8Array(16).fill(255);
  expect(() => readLayout("w", file, 16)).toThrow("states a header of");
  expect(() => readLayout("w", file.subarray(0, 4), 4)).toThrow("shorter than its own header length");
});

/** A message's field: a number as a varint, and anything else with its length before it. */
function field(number: number, value: number | string | Uint8Array): number[] {
  if (typeof value === "number") return [number * 8, value];
  const bytes = typeof value === "string" ? new TextEncoder().encode(value) : value;
  return [number * 8 + 2, bytes.length, ...bytes];
}

function graph(nodes: number[][], opset = 18, more: number[] = []): Uint8Array {
  const body = Uint8Array.from([...nodes.flatMap((node) => field(1, Uint8Array.from(node))), ...more]);
  const domain = Uint8Array.from(field(2, opset));
  return Uint8Array.from([...field(7, body), ...field(8, domain)]);
}

test("a graph of standard operators is taken", () => {
  expect(() => checkGraph(graph([field(4, "MatMul"), field(4, "Add")]), "g.onnx")).not.toThrow();
});

test.each<[string, Uint8Array]>([
  ["uses the operator 'Loop'", graph([field(4, "Loop")])],
  ["uses the operator 'Add' of 'evil'", graph([[...field(4, "Add"), ...field(7, "evil")]])],
  ["holds control flow", graph([[...field(4, "Add"), ...field(5, Uint8Array.from(field(6, "x")))]])],
  [
    "keeps the tensor 'w' in another file",
    graph([field(4, "Add")], 18, field(5, Uint8Array.from([...field(8, "w"), ...field(14, 1)]))),
  ],
  ["holds functions, training data or sparse tensors", graph([field(4, "Add")], 18, field(15, "x"))],
  ["uses opset 23 and devices run 13 to 22", graph([field(4, "Add")], 23)],
  ["holds 1 graphs and 0 nodes", graph([])],
  ["holds 0 graphs and 0 nodes", new Uint8Array()],
  ["is not an ONNX file (a field is longer than the file)", Uint8Array.of(58, 100, 1)],
  ["is not an ONNX file (the file ends inside a number)", Uint8Array.of(58, 200)],
  ["is not an ONNX file (a number is longer than 10 bytes)", new Uint8Array(20).fill(255)],
])("a graph that is wrong is refused: %s", (sentence, data) => {
  expect(() => checkGraph(data, "g.onnx")).toThrow(sentence);
});

const PNG = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const read = async () => PNG;

test("inputs take the bundle's defaults, and values are told as JSON can hold them", async () => {
  const manifest = rightManifest();
  const found = await resolveInputs(manifest, { seed: 7n, motion: 1, prompt: "\u{1f600}".repeat(10) }, read);
  expect(found).toMatchObject({ seed: 7n, motion: 1, steps: 3 });
  const told = await describeInputs(found);
  expect(told).toMatchObject({ seed: "7", motion: 1, steps: 3 });
  expect(told.photo).toMatch(/^sha256:[0-9a-f]{64}$/);
  expect((await resolveInputs(manifest, { seed: "18446744073709551615" }, read)).seed).toBe(2n ** 64n - 1n);
});

test.each<[string, Record<string, unknown>]>([
  ["The bundle has no input 'speed'; its inputs are: prompt, seed, steps, motion, photo.", { speed: 1 }],
  ["The input 'prompt' must be a text and is a number.", { prompt: 3 }],
  ["The input 'prompt' has 11 characters and may have 10; shorten it.", { prompt: "x".repeat(11) }],
  ["The input 'prompt' holds a broken character; type it again.", { prompt: "\ud800" }],
  ["The input 'seed' must be a whole number from 0 to 2^64-1.", { seed: "-1" }],
  ["The input 'seed' must be a whole number from 0 to 2^64-1.", { seed: 1.5 }],
  ["The input 'seed' must be a whole number from 0 to 2^64-1.", { seed: 2n ** 64n }],
  ["The input 'steps' must be a whole number and is a number.", { steps: 2.5 }],
  ["The input 'steps' is 51 and must lie between 1 and 50.", { steps: 51 }],
  ["The input 'motion' is NaN and must lie between 0 and 10.", { motion: Number.NaN }],
  ["The input 'motion' must be a number and is a text.", { motion: "2" }],
  ["The input 'photo' must be a photo (its bytes) and is a text.", { photo: "/etc/passwd" }],
  [
    "The photo is neither PNG, JPEG, WebP nor BMP; convert it to one of these.",
    { photo: Uint8Array.of(1, 2) },
  ],
])("a value that does not fit is refused: %s", async (sentence, values) => {
  const tried = resolveInputs(rightManifest(), values as never, read);
  await expect(tried).rejects.toThrow(new InputError(sentence));
});

test("held blocks lie evenly, and never take more than is free", () => {
  expect(spread(6)).toEqual([0, 4, 2, 1, 5, 3]);
  expect(spread(1)).toEqual([0]);
  expect(hold([5, 5, 5, 5], 10)).toEqual(new Set([0, 2]));
  expect(hold([50, 5, 5, 5], 10)).toEqual(new Set([2, 1]));
  expect(hold([5], 4)).toEqual(new Set());
});

test("half precision is converted as IEEE 754 says", () => {
  for (let bits = 0; bits < 0x10000; bits++) {
    const value = fromHalf(bits);
    if (Number.isNaN(value)) continue;
    expect(toHalf(value)).toBe(bits);
  }
  // Halfway goes to the even neighbour.
  expect(fromHalf(toHalf(1 + 2 ** -11))).toBe(1);
  expect(fromHalf(toHalf(1 + 3 * 2 ** -11))).toBe(1 + 2 ** -9);
  expect([toHalf(65519), toHalf(65520), toHalf(1e9)].map(fromHalf)).toEqual([65504, Infinity, Infinity]);
  expect([2 ** -25, 3 * 2 ** -26, -(2 ** -24)].map((value) => fromHalf(toHalf(value)))).toEqual([
    0,
    2 ** -24,
    -(2 ** -24),
  ]);
});
