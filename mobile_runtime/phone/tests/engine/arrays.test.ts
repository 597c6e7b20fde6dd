/** What a run is done with is given back at once: a phone's tab has no room for what waits for a collector. */

import { Tensor } from "onnxruntime-web";
import { expect, test } from "vitest";
import { toHalf } from "../../src/engine/numbers/half";
import { decodeTiled } from "../../src/engine/numbers/tiling";
import { letGo, takeFloats } from "../../src/engine/runtime/arrays";
import { floats } from "./vectors";

// What browsers have since 2024, and Node since 21: to hand a buffer's memory over leaves none behind.
ArrayBuffer.prototype.transfer ??= function (this: ArrayBuffer) {
  return structuredClone(this, { transfer: [this] });
};

test("a tensor that is let go has no memory any more", () => {
  const data = Float32Array.of(1, 2, 3);
  letGo(new Tensor("float32", data, [3]));
  expect(data.buffer.byteLength).toBe(0);
});

test("numbers that are taken are the tensor's own, or its memory is given back", async () => {
  const single = Float32Array.of(1, 2, 3);
  expect((await takeFloats(new Tensor("float32", single, [3]))).data).toBe(single);
  expect(single).toEqual(Float32Array.of(1, 2, 3));
  const bits = Uint16Array.from([1, -0.5], toHalf);
  const half = new Tensor("float16", bits, [2]);
  expect(await takeFloats(half)).toEqual({ data: Float32Array.of(1, -0.5), shape: [2] });
  expect(bits.buffer.byteLength).toBe(0);
});

test("a tile that was added is given back", async () => {
  const pieces: Float32Array[] = [];
  const decode = (piece: { shape: readonly number[] }) => {
    const [, , length = 0, height = 0, width = 0] = piece.shape;
    const made = floats(new Array(3 * length * height * width).fill(1), [1, 3, length, height, width]);
    pieces.push(made.data);
    return Promise.resolve(made);
  };
  const latent = floats(new Array(16).fill(0), [1, 1, 1, 4, 4]);
  const tiles = { size: [1, 3, 3], overlap: [0, 1, 1], scale: [1, 1, 1] };
  const { data } = await decodeTiled(latent, decode, tiles, () => {});
  expect(data).toEqual(new Float32Array(48).fill(1));
  expect(pieces.map((piece) => piece.byteLength)).toEqual([0, 0, 0, 0]);
});
