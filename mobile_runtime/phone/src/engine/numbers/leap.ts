/**
 * When to leap: On-device Sora's Linear Proportional Leap (arXiv:2502.04363, section 4), the decision alone.
 *
 * The same controller as the desk's and the agent's (mobile_runtime/engine/leap.py), so that all leap at one
 * step. It is told one number per step, the cosine similarity of this step's drift to the previous step's,
 * where the drift is d = (x - denoised) / sigma over the whole latent of one video, after guidance.
 */

import type { Leap } from "../manifest.generated";

// ceil(0.55 x 20) is 12 in floating point.
const ROUNDING = 1e-9;

/** Decides for one video of `total` steps; make a new one for the next video. */
export class LeapController {
  private readonly last: number;
  private readonly earliest: number;
  private best: number | null = null;
  private patience: number;

  constructor(
    private readonly config: Leap,
    total: number,
  ) {
    this.last = total - 1;
    this.earliest = config.mode === "adaptive" ? Math.ceil(config.minimum * total - ROUNDING) : 0;
    this.patience = config.mode === "adaptive" ? config.patience : 0;
  }

  /**
   * True to leap now, from this step's denoised prediction. `similarity` is null where there is no step
   * before.
   *
   * A leap at the last step would save nothing, and one from numbers that are not finite would spread them:
   * both are never taken.
   */
  observe(step: number, similarity: number | null): boolean {
    if (similarity !== null && !Number.isFinite(similarity)) return false;
    if (this.config.mode === "fixed") return step === this.config.step && step < this.last;
    if (similarity === null) return false;
    if (this.best === null || similarity > this.best + this.config.tolerance) {
      this.best = similarity;
      this.patience = this.config.patience;
    } else {
      this.patience = Math.max(0, this.patience - 1);
    }
    return this.patience === 0 && this.earliest <= step && step < this.last;
  }
}
