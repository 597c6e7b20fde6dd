/** ComfyUI's centre crop and bilinear resize of a photo. */

import { count, type Floats, rint, round32 } from "./arrays";

/** A photo's pixels, row by row; `channels` per pixel, of which the first three are red, green and blue. */
export interface Pixels {
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
  readonly channels: 3 | 4;
}

/** ComfyUI's `common_upscale(..., "bilinear", "center")`: [height, width, 3] in [0, 1]. */
export function cropAndResize(pixels: Pixels, width: number, height: number): Floats {
  const [oldAspect, newAspect] = [pixels.width / pixels.height, width / height];
  let [x, y] = [0, 0];
  if (oldAspect > newAspect) x = rint((pixels.width - pixels.width * (newAspect / oldAspect)) / 2);
  else if (oldAspect < newAspect) y = rint((pixels.height - pixels.height * (oldAspect / newAspect)) / 2);
  const vertical = taps(pixels.height - 2 * y, height);
  const horizontal = taps(pixels.width - 2 * x, width);
  const shape = [height, width, 3];
  const data = new Float32Array(count(shape));
  const unit = round32(1 / 255);
  const value = (row: number, column: number, channel: number) =>
    round32(
      (pixels.data[((row + y) * pixels.width + column + x) * pixels.channels + channel] as number) * unit,
    );
  let target = 0;
  for (const down of vertical)
    for (const across of horizontal)
      for (let channel = 0; channel < 3; channel++) {
        const top = mix(
          value(down.first, across.first, channel),
          value(down.first, across.second, channel),
          across,
        );
        const low = mix(
          value(down.second, across.first, channel),
          value(down.second, across.second, channel),
          across,
        );
        data[target++] = mix(top, low, down);
      }
  return { data, shape };
}

interface Tap {
  readonly first: number;
  readonly second: number;
  readonly weight: number;
}

function mix(a: number, b: number, tap: Tap): number {
  return round32(round32(a * round32(1 - tap.weight)) + round32(b * tap.weight));
}

/** The two source indices and the second's weight for each target index (no antialias). */
function taps(old: number, size: number): Tap[] {
  const scale = round32(old / size);
  return Array.from({ length: size }, (_, i) => {
    const source = Math.max(round32(round32(scale * round32(i + 0.5)) - 0.5), 0);
    const first = Math.min(Math.trunc(source), old - 1);
    return { first, second: Math.min(first + 1, old - 1), weight: round32(source - first) };
  });
}
