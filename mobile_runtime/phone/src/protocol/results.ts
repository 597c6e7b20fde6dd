/** Sending a video home that was made without the desk: announce, send the rest, as often as it takes. */

import { hex, sha256 } from "../bytes";
import { AppError } from "../errors";
import { type Desk, DeskRefused } from "./desk";
import type { Announcement } from "./messages";

const TRIES = 5;
const PAUSE = 1_000;
// A body of this size is told as one step of progress and is what a broken line costs.
const PIECE = 4 * 1024 * 1024;

/** What a result needs to be announced; its digest is made here. */
export type Result = Omit<Announcement, "bytes" | "sha256">;

/** A random id for a result; kept with the video, so that a second try is the same result. */
export function drawResultId(): string {
  return hex(crypto.getRandomValues(new Uint8Array(16)));
}

/** Send a video to the desk. Raises AppError `desk_away`, `revoked`, or DeskRefused; a later call goes on. */
export async function sendResult(
  desk: Desk,
  result: Result,
  video: Blob,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const bytes = new Uint8Array(await video.arrayBuffer());
  const announcement: Announcement = { ...result, bytes: bytes.byteLength, sha256: await sha256(bytes) };
  for (let attempt = 1; ; attempt++) {
    try {
      const answer = await desk.json("POST", "/v1/results", announcement, { signal });
      if (answer.state === "stored") return onProgress(1);
      if (typeof answer.received !== "number") throw new AppError("bad_answer");
      for (let at = answer.received; at < bytes.byteLength; at += PIECE) {
        const end = Math.min(at + PIECE, bytes.byteLength);
        await desk.request("PUT", `/v1/results/${result.result_id}`, {
          body: bytes.subarray(at, end),
          headers: {
            "Content-Type": result.mime,
            "Content-Range": `bytes ${at}-${end - 1}/${bytes.byteLength}`,
          },
          signal,
        });
        onProgress(end / bytes.byteLength);
      }
      return;
    } catch (error) {
      if (signal.aborted || attempt >= TRIES || !worthAnotherTry(error)) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE * attempt));
  }
}

function worthAnotherTry(error: unknown): boolean {
  if (error instanceof AppError) return error.problem === "desk_away";
  return error instanceof DeskRefused && ["wrong_offset", "wrong_hash", "busy"].includes(error.code);
}
