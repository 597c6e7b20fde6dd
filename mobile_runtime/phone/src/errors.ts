/** Errors that a person reads. Every message names the thing, the cause and what to do next. */

/** What went wrong, for code that acts on it; the words are chosen where it is shown. */
export type Problem =
  | "bad_answer"
  | "blob_corrupt"
  | "bundle_bad"
  | "cancelled"
  | "desk_away"
  | "encoder_missing"
  | "not_an_invitation"
  | "pairing_expired"
  | "pairing_refused"
  | "revoked"
  | "storage_full"
  | "wrong_code"
  | "wrong_desk";

/** An error with a code; `detail` is text from the desk or the engine, `numbers` what the words mention. */
export class AppError extends Error {
  override readonly name = "AppError";

  constructor(
    readonly problem: Problem,
    readonly detail = "",
    readonly numbers: Readonly<Record<string, string | number>> = {},
  ) {
    super(detail ? `${problem}: ${detail}` : problem);
  }
}

/** What an error is called here: its own code, `cancelled` for an abort, or null for one that is foreign. */
export function problemOf(error: unknown): Problem | null {
  if (error instanceof AppError) return error.problem;
  // The engine has a class of its own for what a person stopped.
  if (error instanceof Error && (error.name === "AbortError" || error.name === "Cancelled"))
    return "cancelled";
  if (error instanceof DOMException && error.name === "QuotaExceededError") return "storage_full";
  return null;
}

/** An error's own sentence. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
