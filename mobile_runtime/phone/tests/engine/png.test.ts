import { deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { decodePng } from "../../src/engine/plan/png";

const WIDTH = 11;
const HEIGHT = 9;
const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const PALETTE = Uint8Array.from({ length: 12 }, (_, i) => (i * 67 + 5) % 256);
const ADAM7: [number, number, number, number][] = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
];

/** A number for a place of the picture, of which the neighbours say little. */
function drawn(x: number, y: number, channel: number, depth: number): number {
  const number = (x * 37 + y * 101 + channel * 59 + x * y * 13) % 65521;
  return depth === 16 ? number : number % 2 ** depth;
}

function chunk(kind: string, body: Uint8Array): Uint8Array {
  const made = new Uint8Array(12 + body.byteLength);
  new DataView(made.buffer).setUint32(0, body.byteLength);
  made.set(new TextEncoder().encode(kind), 4);
  made.set(body, 8);
  return made;
}

/** The rows of a pass, packed by their depth, filtered by each filter in turn. */
function rowsOf(colour: number, depth: number, [x0, y0, dx, dy]: [number, number, number, number]): number[] {
  const channels = CHANNELS[colour] as number;
  const step = Math.max(1, (channels * depth) >> 3);
  const all: number[] = [];
  let above: number[] = [];
  for (let y = y0, row = 0; y < HEIGHT; y += dy, row++) {
    const samples: number[] = [];
    for (let x = x0; x < WIDTH; x += dx)
      for (let channel = 0; channel < channels; channel++) samples.push(drawn(x, y, channel, depth));
    if (!samples.length) return [];
    const line = packed(samples, depth);
    const filter = row % 5;
    const at = (bytes: number[], i: number) => bytes[i] ?? 0;
    all.push(filter);
    for (const [i, byte] of line.entries()) {
      const [left, up, corner] = [at(line, i - step), at(above, i), at(above, i - step)];
      const guesses = [0, left, up, Math.floor((left + up) / 2), paeth(left, up, corner)];
      all.push((byte - (guesses[filter] as number)) & 255);
    }
    above = line;
  }
  return all;
}

function packed(samples: number[], depth: number): number[] {
  if (depth === 16) return samples.flatMap((one) => [one >> 8, one & 255]);
  const text = samples.map((one) => one.toString(2).padStart(depth, "0")).join("");
  return (text.match(/.{1,8}/g) ?? []).map((bits) => Number.parseInt(bits.padEnd(8, "0"), 2));
}

function paeth(left: number, up: number, corner: number): number {
  const nearest = [left, up, corner].map((one) => Math.abs(left + up - corner - one));
  return [left, up, corner][nearest.indexOf(Math.min(...nearest))] as number;
}

function png(
  colour: number,
  depth: number,
  interlaced: boolean,
  extra: Uint8Array[] = [],
): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, WIDTH);
  view.setUint32(4, HEIGHT);
  header.set([depth, colour, 0, 0, interlaced ? 1 : 0], 8);
  const passes = interlaced ? ADAM7 : [[0, 0, 1, 1] as [number, number, number, number]];
  const data = deflateSync(Uint8Array.from(passes.flatMap((pass) => rowsOf(colour, depth, pass))));
  const parts = [
    Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 13, 10, 26, 10),
    chunk("IHDR", header),
    ...(colour === 3 ? [chunk("PLTE", PALETTE)] : []),
    ...extra,
    // In two parts, as programs write large ones.
    chunk("IDAT", data.subarray(0, 7)),
    chunk("IDAT", data.subarray(7)),
    chunk("IEND", new Uint8Array(0)),
  ];
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** What the picture shows, without its alpha. */
function shown(colour: number, depth: number): number[] {
  const pixels: number[] = [];
  const whole = (number: number) =>
    depth === 16 ? number >> 8 : Math.round((number * 255) / (2 ** depth - 1));
  for (let y = 0; y < HEIGHT; y++)
    for (let x = 0; x < WIDTH; x++) {
      const value = (channel: number) => drawn(x, y, channel, depth);
      if (colour === 3) pixels.push(...[0, 1, 2].map((channel) => PALETTE[3 * value(0) + channel] ?? 0));
      else if (colour === 2 || colour === 6)
        pixels.push(...[0, 1, 2].map((channel) => whole(value(channel))));
      else pixels.push(whole(value(0)), whole(value(0)), whole(value(0)));
      pixels.push(255);
    }
  return pixels;
}

const transparency = chunk("tRNS", Uint8Array.of(0, 0));
const kinds: [number, number][] = [
  ...[1, 2, 4, 8, 16].map((depth): [number, number] => [0, depth]),
  ...[8, 16].flatMap((depth): [number, number][] => [2, 4, 6].map((colour) => [colour, depth])),
  ...[1, 2].map((depth): [number, number] => [3, depth]),
];

test.each(kinds)("colour type %i in %i bits keeps what lies below the alpha", async (colour, depth) => {
  const extra = colour === 4 || colour === 6 ? [] : [transparency];
  for (const interlaced of [false, true]) {
    const made = await decodePng(png(colour, depth, interlaced, extra), 1000);
    expect([made?.width, made?.height, made?.channels]).toEqual([WIDTH, HEIGHT, 4]);
    expect([...(made?.data ?? [])]).toEqual(shown(colour, depth));
  }
});

/** EXIF of one number, in either order of its bytes. */
function exif(orientation: number, little: boolean, kind = 3): Uint8Array {
  const made = new Uint8Array(26);
  const view = new DataView(made.buffer);
  made.set(new TextEncoder().encode(little ? "II*\0" : "MM\0*"));
  view.setUint32(4, 8, little);
  view.setUint16(8, 1, little);
  view.setUint16(10, 0x0112, little);
  view.setUint16(12, kind, little);
  view.setUint32(14, 1, little);
  view.setUint16(18, orientation, little);
  return made;
}

test("what a canvas reads as well is left to it", async () => {
  expect(await decodePng(png(2, 8, false), 1000)).toBeNull();
  for (const body of [
    exif(1, true),
    exif(9, true),
    exif(6, true, 4),
    exif(6, true).slice(0, 20),
    exif(6, true).slice(8),
  ])
    expect(await decodePng(png(2, 8, false, [chunk("eXIf", body)]), 1000)).toBeNull();
});

test.each([2, 3, 4, 5, 6, 7, 8])("a photo held as EXIF's %i is turned", async (orientation) => {
  // Where each of the stored picture's columns and rows runs to, by EXIF's table.
  const stored = shown(6, 8);
  const pixels: number[] = [];
  const swapped = orientation > 4;
  const [width, height] = swapped ? [HEIGHT, WIDTH] : [WIDTH, HEIGHT];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      let [column, row] = swapped ? [y, x] : [x, y];
      if ([2, 3, 7, 8].includes(orientation)) column = WIDTH - 1 - column;
      if ([3, 4, 6, 7].includes(orientation)) row = HEIGHT - 1 - row;
      pixels.push(...stored.slice(4 * (row * WIDTH + column), 4 * (row * WIDTH + column + 1)));
    }
  for (const little of [false, true]) {
    const made = await decodePng(png(6, 8, false, [chunk("eXIf", exif(orientation, little))]), 1000);
    expect([made?.width, made?.height]).toEqual([width, height]);
    expect([...(made?.data ?? [])]).toEqual(pixels);
  }
});

test("a damaged file, one with more pixels than it says, and one that is too large are refused", async () => {
  const good = png(6, 8, false);
  const changed = (at: number, byte: number) => good.map((old, i) => (i === at ? byte : old));
  const wrong: [Uint8Array<ArrayBuffer>, number, RegExp][] = [
    [good.slice(0, 70), 1000, /cut off/],
    [changed(8 + 8 + 7, HEIGHT - 1), 1000, /more pixels/],
    [changed(8 + 8 + 7, HEIGHT + 1), 1000, /missing/],
    [changed(8 + 8 + 8, 3), 1000, /its size or its colours/],
    [changed(good.length - 12 - 20, 1), 1000, /cannot be decoded/],
    [good, 98, /has 11x9 pixels and the limit is 98/],
  ];
  for (const [data, limit, words] of wrong) await expect(decodePng(data, limit)).rejects.toThrow(words);
});
