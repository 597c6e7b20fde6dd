/** Where a stage's weights come from: the seam between running a network and keeping its weights. */

import type { Tensor } from "onnxruntime-web";
import type { WeightReport } from "../api";

export interface WeightStore {
  /** A pass begins that takes these files in this order; passes of one key need the same memory. */
  begin(order: readonly string[], key: string): Promise<void>;
  /** The tensors of a weight file; they are good until the next `take`. */
  take(path: string): Promise<ReadonlyMap<string, Tensor>>;
  /** The stage has run for these seconds. Throws BudgetError when it took more memory than it may. */
  release(path: string, seconds: number): void;
  /** The pass is over. Not called for one that failed. */
  end(): void;
  report(): WeightReport;
  close(): void;
}
