/** Photos: what is one, and its pixels, upright, by the browser's own decoders. */

import { firstLine, InputError } from "../errors";
import type { Pixels } from "../numbers/resize";
import { turned, withoutOrientation } from "./orientation";
import { decodePng } from "./png";
import { straightColours } from "./straight";

export const MAX_BYTES = 64 * 2 ** 20;
export const MAX_PIXELS = 100_000_000;
const FORMATS: readonly (readonly [readonly number[], string])[] = [
  [[0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a], "image/png"],
  [[0xff, 0xd8, 0xff], "image/jpeg"],
  [[0x52, 0x49, 0x46, 0x46], "image/webp"],
  [[0x42, 0x4d], "image/bmp"],
];

/**
 * The media type of a PNG, JPEG, WebP or BMP photo, by its first bytes. Throws InputError for anything else.
 */
export function checkPhoto(data: Uint8Array): string {
  if (data.length > MAX_BYTES)
    throw new InputError(
      `The photo has ${data.length} bytes and the limit is ${MAX_BYTES}; choose a smaller one.`,
    );
  const kind = FORMATS.find(([magic]) => magic.every((byte, i) => data[i] === byte));
  if (kind === undefined)
    throw new InputError("The photo is neither PNG, JPEG, WebP nor BMP; convert it to one of these.");
  return kind[1];
}

/** The upright pixels of a photo, its colours as they are stored. Throws InputError. */
export async function decodePhoto(data: Uint8Array<ArrayBuffer>): Promise<Pixels> {
  const type = checkPhoto(data);
  const read = type === "image/png" ? await decodePng(data, MAX_PIXELS) : null;
  if (read) return read;
  const stored = type === "image/webp" ? withoutOrientation(data) : { orientation: 1, data };
  let image: ImageBitmap;
  try {
    image = await createImageBitmap(new Blob([stored.data], { type }), {
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    });
  } catch (error) {
    throw new InputError(`The photo cannot be decoded (${firstLine(error)}); save it again as PNG or JPEG.`);
  }
  try {
    const { width, height } = image;
    if (width * height > MAX_PIXELS)
      throw new InputError(
        `The photo has ${width}x${height} pixels and the limit is ${MAX_PIXELS}; shrink it.`,
      );
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    if (context === null)
      throw new InputError("The photo is too large for this browser; choose a smaller one.");
    context.drawImage(image, 0, 0);
    const drawn = context.getImageData(0, 0, width, height).data;
    const data = (hides(drawn) && (await straightColours(image))) || drawn;
    return turned({ data, width, height, channels: 4 }, stored.orientation);
  } finally {
    image.close();
  }
}

/** Whether a picture in RGBA has transparency anywhere. */
function hides(rgba: Uint8ClampedArray): boolean {
  for (let at = 3; at < rgba.length; at += 4) if (rgba[at] !== 255) return true;
  return false;
}
