/** A decoder's floats to pixels. */

import { EngineError } from "../errors";
import { type Floats, rint, round32 } from "./arrays";

export interface Frames {
  readonly frames: Uint8ClampedArray<ArrayBuffer>[];
  readonly width: number;
  readonly height: number;
}

/**
 * [1, 3, T, H, W] in [-1, 1] to RGBA frames, rounded.
 *
 * Throws EngineError for another shape or values that are not finite.
 */
export function toFrames(video: Floats): Frames {
  const [batch, channels, length, height, width] = video.shape as [number, number, number, number, number];
  if (video.shape.length !== 5 || batch !== 1 || channels !== 3)
    throw new EngineError(
      `The decoder made an array of shape [${video.shape.join(", ")}] and not [1, 3, T, H, W]; export again.`,
    );
  const area = height * width;
  const frames = Array.from({ length }, () => new Uint8ClampedArray(area * 4).fill(255));
  for (let channel = 0; channel < 3; channel++)
    for (let t = 0; t < length; t++) {
      const frame = frames[t] as Uint8ClampedArray;
      const begin = (channel * length + t) * area;
      for (let i = 0; i < area; i++) {
        const value = video.data[begin + i] as number;
        if (!Number.isFinite(value))
          throw new EngineError(
            "The video holds values that are not numbers; lower the guidance or use another seed.",
          );
        const unit = Math.min(1, Math.max(0, round32(round32(value + 1) * 0.5)));
        frame[i * 4 + channel] = rint(round32(unit * 255));
      }
    }
  return { frames, width, height };
}
