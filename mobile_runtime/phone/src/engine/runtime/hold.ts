/** What to hold: On-device Sora's CI-DL (arXiv 2502.04363, section 6) holds as many blocks as fit. */

/**
 * Which files to hold in `free` bytes: as many as fit, spread evenly over the pass.
 *
 * Spread, because while a held stage runs the reader gets ahead with the next streamed one.
 */
export function hold(sizes: readonly number[], free: number): Set<number> {
  const chosen = new Set<number>();
  let left = free;
  for (const index of spread(sizes.length)) {
    const size = sizes[index] as number;
    if (size > left) continue;
    chosen.add(index);
    left -= size;
  }
  return chosen;
}

/** 0 to count - 1 in bit-reversed order: every beginning of the list lies evenly over the range. */
export function spread(count: number): number[] {
  const bits = Math.max(1, Math.ceil(Math.log2(Math.max(count, 1))));
  const order: number[] = [];
  for (let number = 0; number < 2 ** bits; number++) {
    let reversed = 0;
    for (let bit = 0; bit < bits; bit++) reversed |= ((number >> bit) & 1) << (bits - 1 - bit);
    if (reversed < count) order.push(reversed);
  }
  return order;
}
