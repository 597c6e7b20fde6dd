/**
 * PNG photos with transparency, or held sideways, read without a canvas.
 *
 * A canvas keeps colours multiplied by their alpha, and so loses those of what is transparent; the desk keeps them.
 * After the PNG specification, third edition (www.w3.org/TR/png-3): every colour type, depth and interlacing.
 */

import { InputError } from "../errors";
import type { Pixels } from "../numbers/resize";
import { orientationOf, turned } from "./orientation";

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colour: number;
  readonly interlaced: boolean;
}

interface Pass {
  readonly columns: number;
  readonly rows: number;
  /** The image's pixel for a pass's column and row: `x + dx * column`, `y + dy * row`. */
  readonly x: number;
  readonly y: number;
  readonly dx: number;
  readonly dy: number;
}

const SIGNATURE_BYTES = 8;
const GREY = 0;
const PALETTE = 3;
const GREY_ALPHA = 4;
const COLOUR_ALPHA = 6;
const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};
// Adam7: where each pass begins, and its steps, in x and y.
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

/**
 * The colours of a PNG that has transparency or was held sideways, as RGBA without it, upright; null for any that
 * a canvas reads as well.
 *
 * Throws InputError for one that is damaged or has more than `maxPixels`.
 */
export async function decodePng(data: Uint8Array<ArrayBuffer>, maxPixels: number): Promise<Pixels | null> {
  const chunks = chunksOf(data);
  const header = headerOf(chunks[0]);
  const has = (kind: string) => chunks.some((chunk) => chunk.kind === kind);
  const transparent = header.colour === GREY_ALPHA || header.colour === COLOUR_ALPHA || has("tRNS");
  const exif = chunks.find(({ kind }) => kind === "eXIf")?.body;
  const orientation = exif ? orientationOf(exif) : 1;
  if (!transparent && orientation === 1) return null;
  const { width, height } = header;
  if (width * height > maxPixels)
    throw new InputError(`The photo has ${width}x${height} pixels and the limit is ${maxPixels}; shrink it.`);
  const passes = passesOf(header);
  const bits = (CHANNELS[header.colour] as number) * header.depth;
  const lengths = passes.map(({ columns, rows }) => rows * (1 + Math.ceil((columns * bits) / 8)));
  const packed = chunks.filter(({ kind }) => kind === "IDAT").map(({ body }) => body);
  const rows = await inflate(
    packed,
    lengths.reduce((sum, length) => sum + length, 0),
  );
  const palette = chunks.find(({ kind }) => kind === "PLTE")?.body ?? new Uint8Array(0);
  const made = new Uint8ClampedArray(width * height * 4).fill(255);
  let at = 0;
  for (const [index, pass] of passes.entries()) {
    const length = lengths[index] as number;
    const part = rows.subarray(at, at + length);
    unfilter(part, pass.rows, Math.max(1, bits >> 3));
    paint(made, header, pass, part, palette);
    at += length;
  }
  return turned({ data: made, width, height, channels: 4 }, orientation);
}

function chunksOf(data: Uint8Array<ArrayBuffer>): { kind: string; body: Uint8Array<ArrayBuffer> }[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const found: { kind: string; body: Uint8Array<ArrayBuffer> }[] = [];
  for (let at = SIGNATURE_BYTES; at + 12 <= data.byteLength; ) {
    const length = view.getUint32(at);
    if (at + 12 + length > data.byteLength) throw damaged("a part is cut off");
    const kind = String.fromCharCode(...data.subarray(at + 4, at + 8));
    found.push({ kind, body: data.subarray(at + 8, at + 8 + length) });
    if (kind === "IEND") break;
    at += 12 + length;
  }
  return found;
}

function headerOf(chunk: { kind: string; body: Uint8Array } | undefined): Header {
  if (chunk?.kind !== "IHDR" || chunk.body.byteLength !== 13) throw damaged("it does not begin as one");
  const view = new DataView(chunk.body.buffer, chunk.body.byteOffset, 13);
  const header = {
    width: view.getUint32(0),
    height: view.getUint32(4),
    depth: view.getUint8(8),
    colour: view.getUint8(9),
    interlaced: view.getUint8(12) === 1,
  };
  if (!header.width || !header.height || !DEPTHS[header.colour]?.includes(header.depth))
    throw damaged("its size or its colours are none");
  return header;
}

function passesOf({ width, height, interlaced }: Header): Pass[] {
  const whole = { columns: width, rows: height, x: 0, y: 0, dx: 1, dy: 1 };
  if (!interlaced) return [whole];
  return ADAM7.map(([x, y, dx, dy]) => ({
    columns: Math.ceil((width - x) / dx),
    rows: Math.ceil((height - y) / dy),
    x,
    y,
    dx,
    dy,
  })).filter(({ columns, rows }) => columns > 0 && rows > 0);
}

/** Exactly `length` bytes of what was packed; a file that holds more or fewer is refused before it grows. */
async function inflate(
  packed: readonly Uint8Array<ArrayBuffer>[],
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const made = new Uint8Array(length);
  const reader = new Blob([...packed]).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  let at = 0;
  for (;;) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw damaged(error instanceof Error ? error.message : "its data are damaged");
    });
    if (done) break;
    if (at + value.byteLength > length) {
      await reader.cancel();
      throw damaged("it holds more pixels than it says");
    }
    made.set(value, at);
    at += value.byteLength;
  }
  if (at !== length) throw damaged("pixels are missing");
  return made;
}

/** Undo the filters of a pass's rows, each led by its filter's number, in place. */
function unfilter(rows: Uint8Array, count: number, step: number): void {
  const stride = rows.byteLength / count;
  for (let row = 0; row < count; row++) {
    const from = row * stride + 1;
    const filter = rows[from - 1] as number;
    if (filter > 4) throw damaged("it has an unknown filter");
    for (let i = 0; i < stride - 1; i++) {
      const left = i < step ? 0 : (rows[from + i - step] as number);
      const above = row === 0 ? 0 : (rows[from + i - stride] as number);
      const corner = i < step || row === 0 ? 0 : (rows[from + i - stride - step] as number);
      rows[from + i] = (rows[from + i] as number) + guess(filter, left, above, corner);
    }
  }
}

function guess(filter: number, left: number, above: number, corner: number): number {
  switch (filter) {
    case 1:
      return left;
    case 2:
      return above;
    case 3:
      return (left + above) >> 1;
    case 4:
      return paeth(left, above, corner);
    default:
      return 0;
  }
}

function paeth(left: number, above: number, corner: number): number {
  const toLeft = Math.abs(above - corner);
  const toAbove = Math.abs(left - corner);
  const toCorner = Math.abs(left + above - 2 * corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

function paint(
  made: Uint8ClampedArray,
  { width, depth, colour }: Header,
  { columns, rows: count, x, y, dx, dy }: Pass,
  rows: Uint8Array,
  palette: Uint8Array,
): void {
  const stride = rows.byteLength / count;
  const channels = CHANNELS[colour] as number;
  const grey = colour === GREY || colour === GREY_ALPHA;
  for (let row = 0; row < count; row++) {
    const line = rows.subarray(row * stride + 1, (row + 1) * stride);
    for (let column = 0; column < columns; column++) {
      const to = 4 * ((y + dy * row) * width + x + dx * column);
      const first = sample(line, column * channels, depth);
      for (let channel = 0; channel < 3; channel++) {
        if (colour === PALETTE) made[to + channel] = palette[3 * first + channel] ?? 0;
        else if (grey) made[to + channel] = (first * 255) / (2 ** Math.min(depth, 8) - 1);
        else made[to + channel] = sample(line, column * channels + channel, depth);
      }
    }
  }
}

/** The number at a place of a row; of 16 bits the upper eight, as the desk takes them. */
function sample(line: Uint8Array, index: number, depth: number): number {
  if (depth >= 8) return line[index * (depth >> 3)] as number;
  const perByte = 8 / depth;
  const byte = line[Math.floor(index / perByte)] as number;
  return (byte >> (8 - depth * (1 + (index % perByte)))) & (2 ** depth - 1);
}

function damaged(why: string): InputError {
  return new InputError(`The photo cannot be decoded (${why}); save it again as PNG or JPEG.`);
}
