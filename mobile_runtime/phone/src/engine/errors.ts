/**
 * What the engine throws. Every message is one sentence that names the thing, the cause and the next action.
 *
 * Errors cross from the worker by `name` and `message`; `reviveError` makes the class again.
 */

/** A run that cannot go on. */
export class EngineError extends Error {
  override name = "EngineError";
}

/** A bundle that is not what its manifest or its format says. */
export class BundleError extends EngineError {
  override name = "BundleError";
}

/** A value for a bundle's input that is of the wrong type or out of bounds. */
export class InputError extends EngineError {
  override name = "InputError";
}

/** The caller asked the run to stop. */
export class Cancelled extends EngineError {
  override name = "Cancelled";
}

/** A component that does not give the recorded outputs on this device. */
export class SelfTestError extends EngineError {
  override name = "SelfTestError";
}

/** The memory budget cannot hold what the next block needs. */
export class BudgetError extends EngineError {
  override name = "BudgetError";
}

/** The GPU cannot run this bundle: none is there, or it lacks a feature. Another plan may work. */
export class PlanError extends EngineError {
  override name = "PlanError";
}

/** The GPU was taken away while it worked. Another plan may work, or the same one later. */
export class DeviceLostError extends PlanError {
  override name = "DeviceLostError";
}

/** A worker of the engine did not start. The same may work at another try, and fewer threads need fewer. */
export class StartError extends EngineError {
  override name = "StartError";
}

const CLASSES: Readonly<Record<string, new (message: string) => EngineError>> = {
  EngineError,
  BundleError,
  InputError,
  Cancelled,
  SelfTestError,
  BudgetError,
  PlanError,
  DeviceLostError,
  StartError,
};

/** A part of the engine did not start; a worker whose program could not be loaded says no reason. */
export function startError(part: string, why?: string): StartError {
  return new StartError(
    `${part} of the engine did not start (${why || "its program did not come"}); try again, and with the desk in` +
      " reach if that does not help.",
  );
}

/** An error as it crosses from a worker. */
export interface PlainError {
  readonly name: string;
  readonly message: string;
}

/** An error's name and message, for another thread. */
export function plainError(error: unknown): PlainError {
  if (error instanceof EngineError) return { name: error.name, message: error.message };
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return {
    name: "EngineError",
    message: `The engine failed in a way it does not know (${firstLine(text)}); try again, or make a smaller video.`,
  };
}

/** The error that another thread threw. */
export function reviveError(plain: PlainError): EngineError {
  return new (CLASSES[plain.name] ?? EngineError)(plain.message);
}

/** The first line of a foreign message, short enough for a sentence. */
export function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return (text.trim().split("\n")[0] ?? "").slice(0, 300);
}
