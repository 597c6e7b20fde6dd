/** The quantile of the beta distribution, which ComfyUI's `beta` schedule takes from scipy. */

const TERMS = 200;
const HALVINGS = 46;
const TINY = 1e-300;
// Lanczos' approximation of the gamma function with g = 7 and 9 terms, good to about 15 digits.
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
];

/** The x in [0, 1] with I_x(a, b) = probability, by bisection; to about 1e-13. */
export function quantile(probability: number, a: number, b: number): number {
  if (probability <= 0) return 0;
  if (probability >= 1) return 1;
  // The median of a symmetric distribution is exact, and the schedule rounds at it.
  if (a === b && probability === 0.5) return 0.5;
  let [low, high] = [0, 1];
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (cumulative(middle, a, b) < probability) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The regularised incomplete beta function I_x(a, b) for x in [0, 1], by Lentz's continued fraction. */
export function cumulative(x: number, a: number, b: number): number {
  // The fraction converges fast below the mean; the rest follows from I_x(a, b) = 1 - I_(1-x)(b, a).
  const swap = x > (a + 1) / (a + b + 2);
  const y = swap ? 1 - x : x;
  const [first, second] = swap ? [b, a] : [a, b];
  const front = Math.exp(
    first * Math.log(y) +
      second * Math.log1p(-y) -
      (logGamma(a) + logGamma(b) - logGamma(a + b)) -
      Math.log(first),
  );
  const value = front * fraction(y, first, second);
  return swap ? 1 - value : value;
}

function fraction(x: number, a: number, b: number): number {
  let c = 1;
  let d = 1 / awayFromZero(1 - ((a + b) * x) / (a + 1));
  let result = d;
  for (let m = 1; m < TERMS; m++) {
    for (const numerator of [
      (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m)),
      (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1)),
    ]) {
      d = 1 / awayFromZero(1 + numerator * d);
      c = awayFromZero(1 + numerator / c);
      result *= d * c;
    }
    if (Math.abs(d * c - 1) < 4e-16) break;
  }
  return result;
}

function awayFromZero(value: number): number {
  return Math.abs(value) < TINY ? TINY : value;
}

/** The logarithm of the gamma function of a positive number. */
export function logGamma(value: number): number {
  if (value < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * value)) - logGamma(1 - value);
  const x = value - 1;
  let sum = LANCZOS[0] as number;
  for (let i = 1; i < LANCZOS.length; i++) sum += (LANCZOS[i] as number) / (x + i);
  const t = x + 7.5;
  return 0.5 * Math.log(2 * Math.PI) + (x + 0.5) * Math.log(t) - t + Math.log(sum);
}
