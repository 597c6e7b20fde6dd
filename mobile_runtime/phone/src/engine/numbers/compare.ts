/** The one measure of likeness that exports, self-tests and benchmarks share. */

/**
 * Peak signal-to-noise ratio in dB; the peak is the range (max - min) of `expected`, or 1 when that is 0.
 *
 * Infinite for equal arrays, and minus infinity when `found` holds a value that is not finite.
 */
export function psnr(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  let [error, low, high] = [0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (let i = 0; i < expected.length; i++) {
    const [a, b] = [found[i] as number, expected[i] as number];
    if (!Number.isFinite(a)) return Number.NEGATIVE_INFINITY;
    error += (a - b) ** 2;
    low = Math.min(low, b);
    high = Math.max(high, b);
  }
  if (error === 0) return Number.POSITIVE_INFINITY;
  const peak = high - low || 1;
  return 10 * Math.log10((peak ** 2 * expected.length) / error);
}
