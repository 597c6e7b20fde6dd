/** What desk and phone say to each other (docs/protocol.md), read with care: the desk's words are data. */

import { AppError } from "../errors";

export type Values = Readonly<Record<string, string | number>>;

/** Work: keep a bundle (`install`), or run it with `values` and send the result (`run`). */
export interface Job {
  readonly jobId: string;
  readonly attempt: number;
  readonly kind: "install" | "run";
  readonly bundleId: string;
  /** The bundle's name, for the screen. */
  readonly name: string;
  readonly values: Values;
}

export type Stage = "download" | "verify" | "self_test" | "run" | "upload";

/** Progress of a job's stage: `fraction` 0 to 1 or null, `message` as plain text. */
export interface JobEvent {
  readonly stage: Stage;
  readonly fraction: number | null;
  readonly message: string;
}

/** What a phone tells the desk of itself. */
export interface DeviceStatus {
  readonly free_bytes: number | null;
  readonly total_bytes: number | null;
  readonly memory_bytes: number | null;
  readonly runtime: string;
  readonly app: string;
  readonly bundles: readonly { readonly bundle_id: string; readonly name: string; readonly bytes: number }[];
}

/** A result that was made here without the desk's asking. */
export interface Announcement {
  readonly result_id: string;
  readonly bundle_id: string;
  readonly values: Values;
  readonly seconds: number;
  readonly mime: "video/mp4" | "image/webp";
  readonly bytes: number;
  readonly sha256: string;
  readonly name: string;
}

/** A job from the desk's JSON; AppError `bad_answer` where it is not one. */
export function readJob(message: unknown): Job {
  const fields = record(message);
  const values: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(record(fields.values ?? {}))) {
    if (typeof value !== "string" && typeof value !== "number")
      throw new AppError("bad_answer", `value ${name}`);
    values[name] = value;
  }
  return {
    jobId: digits(fields.job_id, 32),
    attempt: typeof fields.attempt === "number" ? fields.attempt : 1,
    kind: fields.kind === "install" ? "install" : "run",
    bundleId: digits(fields.bundle_id, 64),
    name: typeof fields.name === "string" ? fields.name.slice(0, 200) : "",
    values,
  };
}

/** An object of the desk's JSON. */
export function record(value: unknown): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw new AppError("bad_answer");
  return value as Record<string, unknown>;
}

/** Hexadecimal digits of an exact length. */
export function digits(value: unknown, length: number): string {
  if (typeof value !== "string" || value.length !== length || !/^[0-9a-f]*$/.test(value)) {
    throw new AppError("bad_answer");
  }
  return value;
}
