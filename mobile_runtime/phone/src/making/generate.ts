/** One video from one bundle: self-test before the first use, the run, and a slower way where the fast one fails. */

import {
  Cancelled,
  DeviceLostError,
  type Engine,
  type InputValue,
  PlanError,
  type ProgressEvent,
  type RunResult,
  type SelfTestReport,
  StartError,
} from "../engine";
import { ROOT } from "../storage/opfs";
import type { Installed } from "../storage/store";
import { BLOBS } from "../storage/store";
import type { Choice } from "./capability";
import type { Engines } from "./engines";

export interface Surroundings {
  readonly choice: Choice;
  readonly engines: Pick<Engines, "take" | "keep">;
  /** Whether this bundle passed its self-test on this plan before. */
  tested(bundleId: string, plan: Choice["plan"]): Promise<boolean>;
  remember(bundleId: string, plan: Choice["plan"], report: SelfTestReport): Promise<void>;
  /** The GPU was taken away in a run, which begins again on the processor. */
  gpuLost(): void;
}

/** How often an engine is started that does not start. */
const MOST_TRIES = 3;

export type GenerateStage = "prepare" | "self_test" | "run";

export interface GenerateProgress {
  readonly stage: GenerateStage;
  /** Whether the GPU gave up, and the processor took over. */
  readonly fellBack: boolean;
  readonly event: ProgressEvent | null;
}

export interface Generated extends RunResult {
  readonly fellBack: boolean;
}

/** Run a bundle; with `values` null only its self-test. Raises the engine's errors. */
export async function generate(
  installed: Installed,
  values: Readonly<Record<string, InputValue>> | null,
  surroundings: Surroundings,
  onProgress: (progress: GenerateProgress) => void,
  signal: AbortSignal,
): Promise<Generated | null> {
  let { choice } = surroundings;
  let fellBack = false;
  let tries = 1;
  for (;;) {
    onProgress({ stage: "prepare", fellBack, event: null });
    let engine: Engine | null = null;
    let sound = false;
    try {
      engine = await surroundings.engines.take(installed.bundleId, {
        manifest: installed.manifest,
        source: { kind: "opfs", directory: `${ROOT}/${BLOBS}` },
        plan: choice.plan,
        threads: choice.threads,
        budgetBytes: choice.budgetBytes,
      });
      signal.throwIfAborted();
      if (values === null || !(await surroundings.tested(installed.bundleId, choice.plan))) {
        const report = await engine.selfTest({
          signal,
          onProgress: (event) => onProgress({ stage: "self_test", fellBack, event }),
        });
        await surroundings.remember(installed.bundleId, choice.plan, report);
      }
      const result =
        values &&
        (await engine.run(values, {
          signal,
          onProgress: (event) => onProgress({ stage: "run", fellBack, event }),
        }));
      sound = true;
      return result && { ...result, fellBack };
    } catch (error) {
      // A run that was told to stop does so between two graphs, and leaves the engine as it was.
      sound = error instanceof Cancelled || error === signal.reason;
      if (signal.aborted) throw error;
      if (error instanceof StartError && tries < MOST_TRIES) {
        // What kept a program away is over most of the time; and one thread needs no other's.
        if (++tries === MOST_TRIES) choice = { ...choice, threads: 1 };
        continue;
      }
      const gpuFailed = error instanceof PlanError;
      if (!gpuFailed || choice.plan !== "webgpu") throw error;
      if (error instanceof DeviceLostError) surroundings.gpuLost();
      choice = { ...choice, plan: "wasm" };
      fellBack = true;
    } finally {
      if (sound && engine) surroundings.engines.keep(engine);
      else engine?.close();
    }
  }
}
