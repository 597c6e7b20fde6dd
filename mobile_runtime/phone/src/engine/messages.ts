/** What the app's side and the engine's worker say to each other. */

import type { EngineOptions, InputValue, ProgressEvent, RunResult, SelfTestReport } from "./api";
import type { PlainError } from "./errors";

export type Request =
  | { readonly id: number; readonly call: "open"; readonly options: EngineOptions }
  | { readonly id: number; readonly call: "selfTest" }
  | {
      readonly id: number;
      readonly call: "run";
      readonly values: Readonly<Record<string, InputValue>>;
      readonly expected: Readonly<Record<string, number>>;
    }
  | { readonly id: number; readonly call: "cancel" };

export type Answer =
  /** No job will work any more. */
  | { readonly ended: PlainError }
  | { readonly id: number; readonly progress: ProgressEvent }
  | { readonly id: number; readonly result: null | RunResult | SelfTestReport }
  | { readonly id: number; readonly error: PlainError };
