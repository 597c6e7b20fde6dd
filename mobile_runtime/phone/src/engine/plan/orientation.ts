/**
 * How a photo was held: EXIF's orientation, and pixels turned by it, as `mobile_runtime/engine/orientation.py` does.
 *
 * The browser turns a photo by drawing it, and what is drawn loses the colours below its transparency.
 */

import type { Pixels } from "../numbers/resize";

const TAG = 0x0112;
const SHORT = 3;
const ENTRY = 12;
const PREFIX = "Exif\0\0";
// Whose stored picture begins at the right, at the bottom, or runs down its columns.
const RIGHT = [2, 3, 7, 8];
const BOTTOM = [3, 4, 6, 7];
const COLUMNS = [5, 6, 7, 8];
const RIFF_HEADER = 12;

/** 1 to 8 as EXIF counts them; 1, upright, where it says nothing, or nothing that can be read. */
export function orientationOf(exif: Uint8Array): number {
  const tiff = exif.subarray(textOf(exif, 0, PREFIX.length) === PREFIX ? PREFIX.length : 0);
  const little = textOf(tiff, 0, 4) === "II*\0";
  if (tiff.byteLength < 8 || !(little || textOf(tiff, 0, 4) === "MM\0*")) return 1;
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const begin = view.getUint32(4, little);
  if (begin + 2 > tiff.byteLength) return 1;
  const end = Math.min(begin + 2 + view.getUint16(begin, little) * ENTRY, tiff.byteLength - ENTRY + 1);
  for (let at = begin + 2; at < end; at += ENTRY) {
    if (view.getUint16(at, little) !== TAG) continue;
    const value = view.getUint16(at + 8, little);
    return view.getUint16(at + 2, little) === SHORT && value >= 1 && value <= 8 ? value : 1;
  }
  return 1;
}

/** Stored pixels in RGBA as they are to be seen. */
export function turned(stored: Pixels, orientation: number): Pixels {
  if (orientation === 1) return stored;
  const { width, height } = stored;
  const from = new Uint32Array(stored.data.buffer, stored.data.byteOffset, width * height);
  const right = RIGHT.includes(orientation);
  const bottom = BOTTOM.includes(orientation);
  const along = right ? -1 : 1;
  const down = bottom ? -width : width;
  const columns = COLUMNS.includes(orientation);
  const [dx, dy] = columns ? [down, along] : [along, down];
  const size = columns ? { width: height, height: width } : { width, height };
  const made = new Uint32Array(width * height);
  const start = (right ? width - 1 : 0) + (bottom ? (height - 1) * width : 0);
  for (let y = 0, at = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) made[at++] = from[start + y * dy + x * dx] as number;
  }
  return { data: new Uint8ClampedArray(made.buffer), ...size, channels: 4 };
}

/** A WebP's orientation, and the same photo without it, which the browser does not turn. */
export function withoutOrientation(webp: Uint8Array<ArrayBuffer>): {
  orientation: number;
  data: Uint8Array<ArrayBuffer>;
} {
  const view = new DataView(webp.buffer, webp.byteOffset, webp.byteLength);
  for (let at = RIFF_HEADER; at + 8 <= webp.byteLength; ) {
    const length = view.getUint32(at + 4, true);
    if (textOf(webp, at, 4) === "EXIF") {
      const orientation = orientationOf(webp.subarray(at + 8, at + 8 + length));
      if (orientation === 1) break;
      const data = webp.slice();
      data.fill(0, at + 8, at + 8 + length);
      return { orientation, data };
    }
    at += 8 + length + (length % 2);
  }
  return { orientation: 1, data: webp };
}

function textOf(bytes: Uint8Array, at: number, length: number): string {
  return String.fromCharCode(...bytes.subarray(at, at + length));
}
