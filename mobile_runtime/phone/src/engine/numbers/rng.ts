/**
 * Standard normal noise of torch's CPU generator: same seed, same video on desk and phone.
 *
 * Follows at::mt19937 (MT19937 seeded with the seed's low 32 bits) and `normal_fill` of aten's
 * DistributionTemplates.h: from 16 elements on, float uniforms of 24 bits go through the Box-Muller transform
 * in blocks of 16, cosines in the first 8 and sines in the last 8, and a rest of less than 16 redraws the
 * last 16. Below 16 elements each pair takes four draws, makes two uniforms of 53 bits, and is transformed in
 * double precision.
 */

import { count, type Floats, round32 } from "./arrays";

export const MAX_SEED = 2n ** 64n - 1n;
const BLOCK = 16;
const TWO_PI = round32(2 * Math.PI);
const STATE = 624;
const MIDDLE = 397;

/**
 * `torch.randn(shape, generator=torch.Generator().manual_seed(seed))`. Throws RangeError for a seed out of
 * range.
 */
export function normal(seed: bigint, shape: readonly number[]): Floats {
  if (seed < 0n || seed > MAX_SEED)
    throw new RangeError(`The seed ${seed} is not within 0 to 2^64-1; choose one that is.`);
  const size = count(shape);
  const generator = new Twister(Number(seed & 0xffffffffn));
  return { data: size >= BLOCK ? blocks(generator, size) : pairs(generator, size), shape };
}

/** Successive `torch.randn(shape, generator=...)` of one generator, for arrays of 16 numbers or more. */
export class NormalStream {
  private readonly generator: Twister;

  /** Throws RangeError for a seed out of range or a shape of less than 16 numbers. */
  constructor(
    seed: bigint,
    private readonly shape: readonly number[],
  ) {
    if (seed < 0n || seed > MAX_SEED || count(shape) < BLOCK)
      throw new RangeError(
        `No stream of noise starts at seed ${seed} with the shape [${shape}]: choose a seed within 0 to 2^64-1 and` +
          ` ${BLOCK} numbers or more.`,
      );
    this.generator = new Twister(Number(seed & 0xffffffffn));
  }

  draw(): Float32Array {
    return blocks(this.generator, count(this.shape));
  }
}

/** mt19937 as torch seeds it. */
class Twister {
  private readonly state = new Uint32Array(STATE);
  private position = 0;

  constructor(seed: number) {
    this.state[0] = seed;
    for (let i = 1; i < STATE; i++) {
      const before = this.state[i - 1] as number;
      this.state[i] = Math.imul(1812433253, before ^ (before >>> 30)) + i;
    }
  }

  /** The next 32-bit outputs. */
  draws(length: number): Uint32Array {
    const result = new Uint32Array(length);
    for (let i = 0; i < length; i++) {
      if (this.position === 0) twist(this.state);
      let y = this.state[this.position] as number;
      this.position = (this.position + 1) % STATE;
      y ^= y >>> 11;
      y ^= (y << 7) & 0x9d2c5680;
      y ^= (y << 15) & 0xefc60000;
      y ^= y >>> 18;
      result[i] = y;
    }
    return result;
  }
}

function twist(state: Uint32Array): void {
  for (let i = 0; i < STATE; i++) {
    const y = ((state[i] as number) & 0x80000000) | ((state[(i + 1) % STATE] as number) & 0x7fffffff);
    state[i] = (state[(i + MIDDLE) % STATE] as number) ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
  }
}

function blocks(generator: Twister, size: number): Float32Array {
  const rest = size % BLOCK;
  const drawn = generator.draws(size + (rest ? BLOCK : 0));
  const result = new Float32Array(size);
  for (let begin = 0; begin + BLOCK <= size; begin += BLOCK) boxMuller(drawn, begin, result, begin);
  if (rest) boxMuller(drawn, size, result, size - BLOCK);
  return result;
}

/** 16 draws to 16 normals. The angle is rounded to float32, as torch does. */
function boxMuller(drawn: Uint32Array, from: number, result: Float32Array, to: number): void {
  const half = BLOCK / 2;
  for (let i = 0; i < half; i++) {
    const first = ((drawn[from + i] as number) & 0xffffff) * 2 ** -24;
    const second = ((drawn[from + half + i] as number) & 0xffffff) * 2 ** -24;
    const radius = Math.sqrt(-2 * Math.log(1 - first));
    const angle = round32(TWO_PI * second);
    result[to + i] = radius * Math.cos(angle);
    result[to + half + i] = radius * Math.sin(angle);
  }
}

function pairs(generator: Twister, size: number): Float32Array {
  const result = new Float32Array(size);
  const drawn = generator.draws(4 * Math.ceil(size / 2));
  // The low 53 of 64 bits.
  const uniform = (index: number) =>
    (((drawn[index] as number) & 0x1fffff) * 2 ** 32 + (drawn[index + 1] as number)) * 2 ** -53;
  for (let i = 0; i < size; i += 2) {
    const angle = 2 * Math.PI * uniform(2 * i);
    const radius = Math.sqrt(-2 * Math.log1p(-uniform(2 * i + 2)));
    result[i] = radius * Math.cos(angle);
    if (i + 1 < size) result[i + 1] = radius * Math.sin(angle);
  }
  return result;
}
