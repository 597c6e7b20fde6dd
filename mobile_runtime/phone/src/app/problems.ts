/** Errors in the reader's language: what happened, why, and what to do. */

import { AppError, messageOf, problemOf } from "../errors";
import { DeskRefused } from "../protocol/desk";
import { bytes } from "./format";
import { t } from "./words";

/** One sentence or two for a person. The desk's and the engine's own sentences are shown as they are. */
export function describeProblem(error: unknown): string {
  if (error instanceof DeskRefused) return t("problem_desk_refused", { message: error.message });
  const problem = problemOf(error);
  if (problem === "storage_full") {
    const { wanted, free } = error instanceof AppError ? error.numbers : {};
    return typeof wanted === "number" && typeof free === "number"
      ? t("problem_storage_full_by", { wanted: bytes(wanted), free: bytes(free) })
      : t("problem_storage_full");
  }
  if (problem) return t(`problem_${problem}`, { detail: error instanceof AppError ? error.detail : "" });
  return messageOf(error);
}
