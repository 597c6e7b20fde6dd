/** Frames to a video file: MP4 by the browser's own encoder, or an animated WebP where it has none. */

import {
  BufferTarget,
  canEncodeVideo,
  Mp4OutputFormat,
  Output,
  QUALITY_HIGH,
  VideoSample,
  VideoSampleSource,
} from "mediabunny";
import type { Bytes } from "../bytes";
import { AppError } from "../errors";
import { animate } from "./webp";

export interface Frames {
  /** RGBA pixels of every frame, row by row. */
  readonly frames: readonly Uint8ClampedArray<ArrayBuffer>[];
  readonly width: number;
  readonly height: number;
  readonly fps: number;
}

export interface Video {
  readonly blob: Blob;
  readonly mime: "video/mp4" | "image/webp";
}

// H.264 plays everywhere; the others only where they were made, which is still this phone and the desk.
const CODECS = ["avc", "vp9", "av1"] as const;
const KEY_FRAME_SECONDS = 2;

/** The best file that this browser can make of frames: H.264, else a WebP, else MP4 with another codec. */
export async function encode(frames: Frames, preferWebp = false): Promise<Video> {
  if (!preferWebp && (await canEncode("avc", frames))) return encodeMp4(frames);
  if (await canDrawWebp()) return { blob: await encodeWebp(frames), mime: "image/webp" };
  return encodeMp4(frames);
}

/** An MP4. Raises AppError `encoder_missing` where the browser can encode none. */
async function encodeMp4(frames: Frames): Promise<Video> {
  for (const codec of CODECS) {
    if (!(await canEncode(codec, frames))) continue;
    const target = new BufferTarget();
    const output = new Output({ format: new Mp4OutputFormat({ fastStart: "in-memory" }), target });
    const source = new VideoSampleSource({
      codec,
      bitrate: QUALITY_HIGH,
      keyFrameInterval: KEY_FRAME_SECONDS,
    });
    output.addVideoTrack(source, { frameRate: frames.fps });
    await output.start();
    const { frames: pixels, width, height } = even(frames);
    for (const [index, data] of pixels.entries()) {
      const sample = new VideoSample(data, {
        format: "RGBA",
        codedWidth: width,
        codedHeight: height,
        timestamp: index / frames.fps,
        duration: 1 / frames.fps,
      });
      await source.add(sample);
      sample.close();
    }
    await output.finalize();
    if (!target.buffer) throw new AppError("encoder_missing");
    return { blob: new Blob([target.buffer], { type: "video/mp4" }), mime: "video/mp4" };
  }
  throw new AppError("encoder_missing");
}

/** A still picture of a frame, for lists. */
export async function poster(frames: Frames, index = Math.floor(frames.frames.length / 2)): Promise<Blob> {
  return draw(frames, index).convertToBlob({ type: "image/jpeg", quality: 0.85 });
}

function canEncode(codec: (typeof CODECS)[number], frames: Frames): Promise<boolean> {
  if (typeof VideoEncoder === "undefined") return Promise.resolve(false);
  return canEncodeVideo(codec, {
    width: frames.width & ~1,
    height: frames.height & ~1,
    bitrate: QUALITY_HIGH,
  });
}

async function canDrawWebp(): Promise<boolean> {
  const canvas = new OffscreenCanvas(1, 1);
  // A canvas without a context has no picture to write.
  if (!canvas.getContext("2d")) return false;
  // A browser that cannot write WebP writes PNG instead and says so only in the type.
  return (await canvas.convertToBlob({ type: "image/webp" })).type === "image/webp";
}

async function encodeWebp(frames: Frames): Promise<Blob> {
  const stills: Bytes[] = [];
  for (const index of frames.frames.keys()) {
    const still = await draw(frames, index).convertToBlob({ type: "image/webp", quality: 0.9 });
    stills.push(new Uint8Array(await still.arrayBuffer()));
  }
  const milliseconds = Math.floor(1000 / frames.fps);
  return new Blob([animate(stills, frames.width, frames.height, milliseconds)], { type: "image/webp" });
}

function draw({ frames, width, height }: Frames, index: number): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const pixels = frames[index];
  if (!context || !pixels) throw new AppError("encoder_missing");
  context.putImageData(new ImageData(pixels, width, height), 0, 0);
  return canvas;
}

/** Frames of even sides, which 4:2:0 needs: an odd row or column at the edge is left out. */
function even(frames: Frames): Frames {
  const width = frames.width & ~1;
  const height = frames.height & ~1;
  if (width === frames.width && height === frames.height) return frames;
  const cut = frames.frames.map((frame) => {
    const smaller = new Uint8ClampedArray(width * height * 4);
    for (let row = 0; row < height; row++) {
      smaller.set(frame.subarray(row * frames.width * 4, (row * frames.width + width) * 4), row * width * 4);
    }
    return smaller;
  });
  return { ...frames, width, height, frames: cut };
}
