/** An animated WebP of still ones (the RIFF container of developers.google.com/speed/webp/docs/riff_container). */

import { type Bytes, concatenate, utf8 } from "../bytes";

interface Chunk {
  readonly name: string;
  readonly bytes: Bytes;
}

const ANIMATION = 0x02;
const ALPHA = 0x10;
// Bit 0 of a frame's flags: leave the canvas as it is; bit 1: do not blend with what was there.
const DO_NOT_BLEND = 0x02;

/** Join still WebP files of one size; each is shown `milliseconds` and the whole loops for ever. */
export function animate(
  stills: readonly Bytes[],
  width: number,
  height: number,
  milliseconds: number,
): Bytes {
  const frames: Bytes[] = [];
  let alpha = false;
  for (const still of stills) {
    const parts = chunksOf(still).filter(({ name }) => name === "VP8 " || name === "VP8L" || name === "ALPH");
    if (!parts.some(({ name }) => name.startsWith("VP8"))) throw new RangeError("a WebP without a picture");
    alpha ||= parts.some(({ name }) => name !== "VP8 ");
    const head = concatenate([
      uint24(0),
      uint24(0),
      uint24(width - 1),
      uint24(height - 1),
      uint24(milliseconds),
      Uint8Array.of(DO_NOT_BLEND),
    ]);
    frames.push(chunk("ANMF", concatenate([head, ...parts.map(({ name, bytes }) => chunk(name, bytes))])));
  }
  const canvas = concatenate([
    Uint8Array.of(ANIMATION | (alpha ? ALPHA : 0), 0, 0, 0),
    uint24(width - 1),
    uint24(height - 1),
  ]);
  // Background colour, of which nothing shows, and 0 loops: for ever.
  const body = concatenate([
    utf8("WEBP"),
    chunk("VP8X", canvas),
    chunk("ANIM", new Uint8Array(6)),
    ...frames,
  ]);
  return chunk("RIFF", body);
}

/** The chunks of a still WebP file. RangeError where it is none. */
function chunksOf(file: Bytes): Chunk[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const name = (at: number) => String.fromCharCode(...file.subarray(at, at + 4));
  if (file.byteLength < 12 || name(0) !== "RIFF" || name(8) !== "WEBP")
    throw new RangeError("not a WebP file");
  const found: Chunk[] = [];
  for (let at = 12; at + 8 <= file.byteLength; ) {
    const size = view.getUint32(at + 4, true);
    if (at + 8 + size > file.byteLength) throw new RangeError("a WebP file that ends too early");
    found.push({ name: name(at), bytes: file.slice(at + 8, at + 8 + size) });
    at += 8 + size + (size % 2);
  }
  return found;
}

function chunk(name: string, bytes: Bytes): Bytes {
  const head = new Uint8Array(8);
  head.set(utf8(name));
  new DataView(head.buffer).setUint32(4, bytes.byteLength, true);
  return concatenate([head, bytes, new Uint8Array(bytes.byteLength % 2)]);
}

function uint24(value: number): Bytes {
  return Uint8Array.of(value & 255, (value >> 8) & 255, (value >> 16) & 255);
}
