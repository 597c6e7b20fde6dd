/** A small picture of a latent on its way, by a linear map from channels to colours. */

import type { PreviewImage } from "../api";
import type { LatentRgb } from "../manifest.generated";
import { count, type Floats } from "./arrays";

export const MAX_SIDE = 128;

/** The middle frame of [B, C, F, H, W]; null when there is no map for it. */
export function preview(rgb: LatentRgb | undefined, latent: Floats): PreviewImage | null {
  const [, channels, frames, rows, columns] = latent.shape as [number, number, number, number, number];
  if (rgb === undefined || rgb.factors.length !== channels) return null;
  const stride = Math.max(1, Math.ceil(Math.max(rows, columns) / MAX_SIDE));
  const [width, height] = [Math.ceil(columns / stride), Math.ceil(rows / stride)];
  const data = new Uint8ClampedArray(width * height * 4);
  const frame = Math.floor(frames / 2) * rows * columns;
  const channel = count(latent.shape.slice(2));
  let pixel = 0;
  for (let y = 0; y < rows; y += stride)
    for (let x = 0; x < columns; x += stride) {
      for (let colour = 0; colour < 3; colour++) {
        let value = rgb.bias[colour] as number;
        for (let c = 0; c < channels; c++)
          value +=
            (latent.data[c * channel + frame + y * columns + x] as number) *
            ((rgb.factors[c] as readonly number[])[colour] as number);
        data[pixel + colour] = Math.trunc(Math.min(255, Math.max(0, (value + 1) * 127.5)));
      }
      data[pixel + 3] = 255;
      pixel += 4;
    }
  return { data, width, height };
}
