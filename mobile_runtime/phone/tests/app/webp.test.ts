import { expect, test } from "vitest";
import { concatenate, utf8 } from "../../src/bytes";
import { animate } from "../../src/video/webp";

const chunk = (name: string, ...bytes: number[]) => {
  const size = new Uint8Array(4);
  new DataView(size.buffer).setUint32(0, bytes.length, true);
  return concatenate([utf8(name), size, Uint8Array.from(bytes), new Uint8Array(bytes.length % 2)]);
};
const still = (...chunks: Uint8Array[]) => {
  const body = concatenate([utf8("WEBP"), ...chunks]);
  return chunk("RIFF", ...body);
};
const lossy = still(chunk("VP8 ", 1, 2, 3));

test("stills become frames of one animation that loops for ever", () => {
  const made = animate([lossy, lossy], 300, 2, 83);
  const text = Buffer.from(made).toString("latin1");
  const view = new DataView(made.buffer);
  expect(text.slice(0, 4) + text.slice(8, 16)).toBe("RIFFWEBPVP8X");
  expect(view.getUint32(4, true)).toBe(made.byteLength - 8);
  expect([...made.subarray(20, 30)]).toEqual([0x02, 0, 0, 0, 43, 1, 0, 1, 0, 0]);
  expect(text.slice(30, 34)).toBe("ANIM");
  expect([...made.subarray(38, 44)]).toEqual([0, 0, 0, 0, 0, 0]);
  const frames = [...text.matchAll(/ANMF/g)].map(({ index }) => index ?? 0);
  expect(frames).toHaveLength(2);
  const [first = 0, second = 0] = frames;
  expect(view.getUint32(first + 4, true)).toBe(16 + 8 + 4);
  expect([...made.subarray(first + 8, first + 24)]).toEqual([
    0, 0, 0, 0, 0, 0, 43, 1, 0, 1, 0, 0, 83, 0, 0, 2,
  ]);
  expect([...made.subarray(first + 24, second)]).toEqual([...chunk("VP8 ", 1, 2, 3)]);
});

test("a still with transparency keeps it, and other chunks stay behind", () => {
  const made = animate(
    [
      still(
        chunk("VP8X", 16, 0, 0, 0, 0, 0, 0, 0, 0, 0),
        chunk("ALPH", 9),
        chunk("VP8 ", 1),
        chunk("EXIF", 5),
      ),
    ],
    1,
    1,
    40,
  );
  const text = Buffer.from(made).toString("latin1");
  expect(made[20]).toBe(0x12);
  expect(text).toContain("ALPH");
  expect(text).not.toContain("EXIF");
});

test.each([
  ["no picture", still(chunk("EXIF", 1))],
  ["no WebP", utf8("PNG and more than twelve bytes")],
  ["cut short", lossy.slice(0, lossy.byteLength - 3)],
])("%s is refused", (_, bytes) => {
  expect(() => animate([bytes], 1, 1, 40)).toThrow(RangeError);
});
