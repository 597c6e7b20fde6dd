/**
 * Which tokens merge: the index arrays that a merging network is given (On-device Sora's TDTM, section 5).
 *
 * Merging itself is in the network's graphs; what depends on the video's size and on the settings is computed
 * here, once for a run. So one graph serves every size, share and window, and no graph does arithmetic on
 * int64.
 */

import type { Merge } from "../manifest.generated";

/** The desk takes a sigma this close to the window's edge for the edge: both are rounded differently. */
const ROUNDING = 1e-4;

/** An input of a merging network. */
export interface MergeArray {
  readonly data: BigInt64Array | Float32Array;
  readonly shape: readonly number[];
}

export type MergeArrays = Readonly<Record<string, MergeArray>>;

/** Whether an evaluation at this sigma merges. */
export function inside(merge: Merge, sigma: number): boolean {
  const begun = merge.begin === undefined || sigma <= merge.begin * (1 + ROUNDING);
  return begun && sigma > merge.end * (1 + ROUNDING);
}

/** The network's inputs for a video of F x H x W tokens, or null where nothing can merge. */
export function mergeArrays(
  merge: Merge,
  [frames, height, width]: readonly [number, number, number],
  firstFrameGiven: boolean,
): MergeArrays | null {
  const kept = merge.keep_first_frame || firstFrameGiven;
  return merge.mode === "pairs"
    ? pairArrays(frames, kept)
    : similarArrays(frames, height, width, merge.share, kept);
}

/**
 * Merging whole frame pairs: (0, 1), (2, 3), ..., or from frame 1 on; an odd one out stays alone.
 *
 * For M merged frames: `merge_first` and `merge_second` [M] are the members, twice the same for a frame that
 * stays alone; `merge_sizes` [M] is how many frames each one stands for; `merge_source` [F] is where every
 * frame finds itself again.
 */
export function pairArrays(frames: number, keepFirstFrame: boolean): MergeArrays | null {
  const begin = Number(keepFirstFrame);
  if (frames - begin < 2) return null;
  const first: number[] = [];
  const second: number[] = [];
  for (let frame = 0; frame < begin; frame++) {
    first.push(frame);
    second.push(frame);
  }
  for (let frame = begin; frame < frames; frame += 2) {
    first.push(frame);
    second.push(Math.min(frame + 1, frames - 1));
  }
  const source = Array.from({ length: frames }, (_, later) =>
    later < begin ? later : begin + Math.floor((later - begin) / 2),
  );
  return {
    merge_first: whole(first),
    merge_second: whole(second),
    merge_source: whole(source),
    merge_sizes: {
      data: Float32Array.from(first, (frame, i) => (frame === second[i] ? 1 : 2)),
      shape: [first.length],
    },
  };
}

/**
 * Merging the most alike of the P token pairs of all frame pairs, `share` of them, rounded down.
 *
 * `merge_first` and `merge_second` [P] are the members' places among the F H W tokens, `merge_alone` those of
 * the tokens that are in no pair; `merge_back` [F, H, W] is each token's place in the row of alone, first and
 * second; `merge_rest` are the ranks, of the most alike pair 0, that do not merge.
 */
export function similarArrays(
  frames: number,
  height: number,
  width: number,
  share: number,
  keepFirstFrame: boolean,
): MergeArrays | null {
  const area = height * width;
  const first: number[] = [];
  for (let frame = Number(keepFirstFrame); frame < frames - 1; frame += 2)
    for (let cell = 0; cell < area; cell++) first.push(frame * area + cell);
  // Rounded down but for rounding errors, as on the desk.
  const merged = Math.floor(share * first.length + 1e-6);
  if (merged < 1) return null;
  const second = first.map((cell) => cell + area);
  const paired = new Set([...first, ...second]);
  const alone = Array.from({ length: frames * area }, (_, cell) => cell).filter((cell) => !paired.has(cell));
  const back = new Array<number>(frames * area).fill(0);
  [...alone, ...first, ...second].forEach((cell, place) => {
    back[cell] = place;
  });
  const begin = Math.min(merged, first.length);
  return {
    merge_alone: whole(alone),
    merge_first: whole(first),
    merge_second: whole(second),
    merge_back: { ...whole(back), shape: [frames, height, width] },
    merge_rest: whole(Array.from({ length: first.length - begin }, (_, i) => begin + i)),
  };
}

function whole(values: readonly number[]): MergeArray {
  return { data: BigInt64Array.from(values, BigInt), shape: [values.length] };
}
