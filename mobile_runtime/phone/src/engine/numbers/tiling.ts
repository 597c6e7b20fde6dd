/**
 * Decoding in overlapping tiles: ComfyUI's `tiled_scale_multidim` for a video latent.
 *
 * A decoder sees one tile at a time, so that its activations stay small; where tiles overlap they are blended
 * by weights that rise from the edge. A latent that fits into one tile is decoded as it is.
 */

import type { Tiles } from "../manifest.generated";
import { count, type Floats, release, round32, slice, stridesOf, zeros } from "./arrays";

type Three = [number, number, number];

/** Decode [1, C, F, h, w] to [1, 3, T, H, W] tile by tile; `decode` takes and gives such arrays. */
export async function decodeTiled(
  latent: Floats,
  decode: (piece: Floats) => Promise<Floats>,
  tiles: Tiles,
  progress: (done: number, total: number) => void,
): Promise<Floats> {
  const [size, overlap, scale] = [tiles.size, tiles.overlap, tiles.scale].map(three) as [Three, Three, Three];
  const cells = three(latent.shape.slice(2));
  if (cells.every((length, axis) => length <= (size[axis] as number))) {
    const whole = await decode(latent);
    progress(1, 1);
    return whole;
  }
  const shape = grown(cells, scale);
  const total = zeros([1, 3, ...shape]);
  const weights = zeros(shape);
  const corners = product(cells.map((length, axis) => starts(length, at3(size, axis), at3(overlap, axis))));
  let done = 0;
  for (const corner of corners) {
    const begin = three(
      cells.map((length, axis) => Math.max(0, Math.min(length - at3(overlap, axis), at3(corner, axis)))),
    );
    const end = begin.map((start, axis) => Math.min(start + at3(size, axis), at3(cells, axis)));
    const piece = await decode(slice(latent, [0, 0, ...begin], [1, latent.shape[1] as number, ...end]));
    add(
      piece,
      begin.map((start, axis) => start * at3(scale, axis)) as Three,
      overlapOf(overlap, scale),
      total,
      weights,
    );
    release(piece.data);
    progress(++done, corners.length);
  }
  const area = count(shape);
  for (let i = 0; i < total.data.length; i++)
    total.data[i] = (total.data[i] as number) / (weights.data[i % area] as number);
  return total;
}

/** What that many cells per axis become: n frames (n - 1) scale + 1, n cells of height or width n scale. */
function grown(cells: Three, scale: Three): Three {
  return [Math.max(0, (cells[0] - 1) * scale[0] + 1), cells[1] * scale[1], cells[2] * scale[2]];
}

const overlapOf = grown;

/** Add a decoded piece, weighted, at its place; what sticks out at the end is cut off. */
function add(piece: Floats, place: Three, feather: Three, total: Floats, weights: Floats): void {
  const lengths = three(piece.shape.slice(2));
  const limits = three(weights.shape);
  const slopes = lengths.map((length, axis) => slope(length, at3(feather, axis)));
  // A tile in the middle makes its first frame as if the clip began there: it may stick out at the end.
  const kept = lengths.map((length, axis) => Math.min(length, at3(limits, axis) - at3(place, axis))) as Three;
  const [from, to] = [stridesOf(piece.shape), stridesOf(total.shape)] as [number[], number[]];
  for (let t = 0; t < kept[0]; t++)
    for (let y = 0; y < kept[1]; y++)
      for (let x = 0; x < kept[2]; x++) {
        const mask = round32(
          round32(((slopes[0] as Float32Array)[t] as number) * ((slopes[1] as Float32Array)[y] as number)) *
            ((slopes[2] as Float32Array)[x] as number),
        );
        const source = t * (from[2] as number) + y * (from[3] as number) + x;
        const target = (t + place[0]) * (to[2] as number) + (y + place[1]) * (to[3] as number) + x + place[2];
        weights.data[target] = (weights.data[target] as number) + mask;
        for (let channel = 0; channel < 3; channel++) {
          const goal = target + channel * (to[1] as number);
          const value = piece.data[source + channel * (from[1] as number)] as number;
          total.data[goal] = (total.data[goal] as number) + round32(value * mask);
        }
      }
}

/** Ones that fall towards both ends over `reach` values, where the axis is longer. */
function slope(length: number, reach: number): Float32Array {
  const result = new Float32Array(length).fill(1);
  if (reach >= length) return result;
  for (let i = 0; i < reach; i++) result[i] = (i + 1) / Math.max(reach, 1);
  for (let i = 0; i < reach; i++)
    result[length - 1 - i] = (result[length - 1 - i] as number) * ((i + 1) / Math.max(reach, 1));
  return result;
}

function starts(length: number, size: number, overlap: number): number[] {
  if (length <= size) return [0];
  const result: number[] = [];
  for (let start = 0; start < length - overlap; start += size - overlap) result.push(start);
  return result;
}

function product(axes: readonly number[][]): Three[] {
  const [a, b, c] = axes as [number[], number[], number[]];
  return a.flatMap((x) => b.flatMap((y) => c.map((z): Three => [x, y, z])));
}

function three(values: readonly number[]): Three {
  return [values[0] as number, values[1] as number, values[2] as number];
}

function at3(values: readonly number[], axis: number): number {
  return values[axis] as number;
}
