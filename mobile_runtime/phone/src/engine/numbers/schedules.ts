/**
 * Sigma schedules as ComfyUI's `calculate_sigmas` gives them for its two flows.
 *
 * A rectified flow mixes x_t = (1 - sigma) x0 + sigma noise; sigma falls from 1 to 0. Arithmetic is in
 * float32 where ComfyUI's is, because `simple` and its kin read entries of a float32 table. One function per
 * schedule, all with the signature (table, steps) -> sigmas [n + 1], usually n = steps. How the schedule of a
 * plan is put together from these stands in `scheduling.ts`.
 */

import { EngineError } from "../errors";
import type { NamedSchedule } from "../manifest.generated";
import { at, map, rint, round32 } from "./arrays";
import { quantile } from "./beta";

export type Curve = NonNullable<NamedSchedule["curve"]>;
type Schedule = (table: SigmaTable, steps: number) => Float32Array;

/** Entries of the table that ComfyUI makes for ModelSamplingDiscreteFlow and ModelSamplingFlux. */
export const TABLE_SIZE: Readonly<Record<Curve, number>> = { flow: 1000, flux: 10_000 };
const MAX_TOTAL_STEPS = 100_000;

/**
 * ComfyUI's model_sampling of a flow: rising `sigmas` [n], and how timesteps map.
 *
 * `curve` says how `shift` bends time t: "flow" is ModelSamplingDiscreteFlow, shift t / (1 + (shift - 1) t);
 * "flux" is ModelSamplingFlux, e^shift / (e^shift + 1/t - 1), which knows no multiplier.
 */
export class SigmaTable {
  readonly sigmas: Float32Array;
  private readonly multiplier: number;

  constructor(
    private readonly shift: number,
    multiplier: number,
    private readonly curve: Curve,
  ) {
    const size = TABLE_SIZE[curve];
    this.multiplier = round32(curve === "flux" ? 1 : multiplier);
    const steps = Float32Array.from({ length: size }, (_, i) => round32((i + 1) / size) * this.multiplier);
    this.sigmas = map(steps, (step) => this.sigma(step));
  }

  /** What the network is told for a sigma: sigma x multiplier. */
  timestep(sigma: number): number {
    return round32(sigma * this.multiplier);
  }

  /** The sigma at a timestep, shifted. */
  sigma(timestep: number): number {
    if (this.curve === "flux") return exponentiallyShifted(timestep, this.shift);
    return shifted(round32(timestep / this.multiplier), this.shift);
  }

  get highest(): number {
    return at(this.sigmas, -1);
  }

  get lowest(): number {
    return at(this.sigmas, 0);
  }
}

export interface SigmaOptions {
  /** Of the timestep that the network is told. */
  readonly multiplier?: number;
  /** 0 to 1; at 0 the result is empty, as in ComfyUI. */
  readonly denoise?: number;
  readonly curve?: Curve;
  /**
   * One step more is planned and the last sigma before 0 left out, as ComfyUI's KSampler does for samplers
   * that fare badly at small sigmas (dpm_2, uni_pc).
   */
  readonly dropPenultimate?: boolean;
}

/**
 * The sigmas of a schedule, falling to 0; for denoise < 1 the last steps + 1 of a longer one.
 *
 * Throws EngineError for an unknown name or steps that the schedule cannot take.
 */
export function calculateSigmas(
  name: string,
  steps: number,
  shift: number,
  options: SigmaOptions = {},
): Float32Array {
  const { multiplier = 1, denoise = 1, curve = "flow", dropPenultimate = false } = options;
  const schedule = Object.hasOwn(SCHEDULES, name) ? SCHEDULES[name as keyof typeof SCHEDULES] : undefined;
  if (schedule === undefined)
    throw new EngineError(
      `The schedule '${name}' is not known; use one of ${Object.keys(SCHEDULES).join(", ")}.`,
    );
  if (!(curve in TABLE_SIZE))
    throw new EngineError(`The curve '${curve}' of a schedule is not known; export the bundle again.`);
  if (steps < 1) throw new EngineError(`A schedule of ${steps} steps is not possible; use at least 1.`);
  if (denoise <= 0) return new Float32Array(0);
  const table = new SigmaTable(shift, multiplier, curve);
  const total = denoise > 0.9999 ? steps : Math.trunc(steps / denoise);
  if (total > MAX_TOTAL_STEPS)
    throw new EngineError(`denoise ${denoise} needs a schedule of ${total} steps; use a larger one.`);
  let sigmas = schedule(table, total + Number(dropPenultimate));
  if (dropPenultimate) sigmas = Float32Array.of(...sigmas.subarray(0, -2), at(sigmas, -1));
  return denoise > 0.9999 ? sigmas : sigmas.slice(-(steps + 1));
}

/** Evenly spaced entries of the table, from its end. */
const simple: Schedule = (table, steps) => {
  const stride = table.sigmas.length / steps;
  return withZero(
    Array.from({ length: steps }, (_, step) => at(table.sigmas, -(1 + Math.trunc(step * stride)))),
  );
};

/** Every n-th entry of the table from its second on; may hold more sigmas than asked for. */
const ddimUniform: Schedule = (table, steps) => {
  const closes = Math.abs(at(table.sigmas, 1)) <= 0.00001;
  const stride = Math.max(Math.floor(table.sigmas.length / (closes ? steps + 1 : steps)), 1);
  const sigmas = closes ? [] : [0];
  for (let index = 1; index < table.sigmas.length; index += stride) sigmas.push(at(table.sigmas, index));
  return Float32Array.from(sigmas.reverse());
};

/** Evenly spaced timesteps from the table's last to its first. */
const normal: Schedule = (table, steps) => {
  const [start, end] = [table.timestep(table.highest), table.timestep(table.lowest)];
  const closes = Math.abs(table.sigma(end)) <= 0.00001;
  const sigmas = map(linspace(start, end, closes ? steps + 1 : steps), (step) => table.sigma(step));
  return closes ? sigmas : withZero(sigmas);
};

/** As `normal`, with one more timestep, the last of which is dropped. */
const sgmUniform: Schedule = (table, steps) => {
  const [start, end] = [table.timestep(table.highest), table.timestep(table.lowest)];
  return withZero(map(linspace(start, end, steps + 1).subarray(0, -1), (step) => table.sigma(step)));
};

/** Timesteps at quantiles of a beta distribution (arXiv:2407.12173); repeated timesteps are dropped. */
const beta: Schedule = (table, steps) => {
  const timesteps = Array.from({ length: steps }, (_, i) =>
    rint(quantile(1 - i * (1 / steps), 0.6, 0.6) * (table.sigmas.length - 1)),
  );
  const kept = timesteps.filter((step, i) => step !== (i ? timesteps[i - 1] : -1));
  return withZero(kept.map((step) => at(table.sigmas, step)));
};

/** Mochi's schedule: noise falls linearly over the first half of the steps, then quadratically. */
const linearQuadratic: Schedule = (table, steps) => {
  const threshold = 0.025;
  if (steps === 1) return Float32Array.of(table.highest, 0);
  const linearSteps = Math.floor(steps / 2);
  const rise = linearSteps - threshold * steps;
  const quadraticSteps = steps - linearSteps;
  const quadratic = rise / (linearSteps * quadraticSteps ** 2);
  const linear = threshold / linearSteps - (2 * rise) / quadraticSteps ** 2;
  const constant = quadratic * linearSteps ** 2;
  const gone = Array.from({ length: steps }, (_, step) =>
    step < linearSteps ? (step * threshold) / linearSteps : quadratic * step ** 2 + linear * step + constant,
  );
  return Float32Array.from([...gone, 1], (value) => round32(1 - value) * table.highest);
};

/** Steps of equal size in arctan(sigma), from "Align Your Steps" (arXiv:2404.14507), section 3.1. */
const klOptimal: Schedule = (table, steps) => {
  if (steps < 2)
    throw new EngineError("The schedule 'kl_optimal' needs at least 2 steps; use more or another schedule.");
  const [low, high] = [round32(Math.atan(table.lowest)), round32(Math.atan(table.highest))];
  return withZero(
    Array.from({ length: steps }, (_, i) => {
      const position = round32(i / (steps - 1));
      return Math.tan(round32(round32(position * low) + round32(round32(1 - position) * high)));
    }),
  );
};

/** Karras et al. (2022), equation 5. */
const karras: Schedule = (table, steps) => {
  const rho = 7;
  const [low, high] = [table.lowest ** (1 / rho), table.highest ** (1 / rho)];
  const span = round32(low - high);
  return withZero(map(linspace(0, 1, steps), (ramp) => round32(round32(high) + round32(ramp * span)) ** rho));
};

/** Steps of equal size in log sigma. */
const exponential: Schedule = (table, steps) =>
  withZero(map(linspace(Math.log(table.highest), Math.log(table.lowest), steps), Math.exp));

/** ComfyUI's scheduler names. */
export const SCHEDULES: Readonly<Record<NamedSchedule["name"], Schedule>> = {
  simple,
  sgm_uniform: sgmUniform,
  karras,
  exponential,
  ddim_uniform: ddimUniform,
  beta,
  normal,
  linear_quadratic: linearQuadratic,
  kl_optimal: klOptimal,
};

/**
 * LTXVScheduler: the shift grows with the number of latent cells, and sigmas may be stretched.
 *
 * `tokens` are the cells F x H x W of the latent; the shift is `baseShift` at 1024 of them and `maxShift` at
 * 4096. With `stretch` the last sigma before 0 is `terminal`. Throws EngineError for one stretched step.
 */
export function ltxv(
  steps: number,
  tokens: number,
  maxShift: number,
  baseShift: number,
  stretch: boolean,
  terminal: number,
): Float32Array {
  if (stretch && steps < 2)
    throw new EngineError("LTXVScheduler needs at least 2 steps to stretch; use more or switch stretch off.");
  const slope = (maxShift - baseShift) / (4096 - 1024);
  const shift = tokens * slope + baseShift - slope * 1024;
  let sigmas = map(linspace(1, 0, steps + 1).subarray(0, -1), (t) => exponentiallyShifted(t, shift));
  if (stretch) {
    const gone = map(sigmas, (sigma) => 1 - sigma);
    const scale = round32(at(gone, -1) / round32(1 - terminal));
    sigmas = map(gone, (value) => 1 - round32(value / scale));
  }
  return withZero(sigmas);
}

/** ComfyUI's `time_snr_shift` in float32. */
function shifted(t: number, shift: number): number {
  if (shift === 1) return t;
  return round32(round32(round32(shift) * t) / round32(1 + round32(round32(shift - 1) * t)));
}

/** ComfyUI's `flux_time_shift` in float32; torch divides a number by a tensor by way of its reciprocal. */
function exponentiallyShifted(t: number, shift: number): number {
  const grown = round32(Math.exp(shift));
  return round32(grown * round32(1 / round32(grown + round32(round32(1 / t) - 1))));
}

/** torch.linspace in float32, which counts the second half from the end. */
function linspace(start: number, end: number, steps: number): Float32Array {
  const [first, last] = [round32(start), round32(end)];
  if (steps === 1) return Float32Array.of(first);
  const step = round32(round32(last - first) / (steps - 1));
  const half = Math.floor(steps / 2);
  return Float32Array.from({ length: steps }, (_, i) =>
    i < half ? first + round32(step * i) : last - round32(step * (steps - 1 - i)),
  );
}

function withZero(sigmas: ArrayLike<number>): Float32Array {
  const result = new Float32Array(sigmas.length + 1);
  result.set(sigmas);
  return result;
}
