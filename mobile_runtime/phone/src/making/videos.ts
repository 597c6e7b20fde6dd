/** The videos that were made here, with the settings that made each. */

import type { Values } from "../protocol/messages";
import * as db from "../storage/db";

export interface VideoRecord {
  /** The result's id at the desk, too, so that sending it twice is one result. */
  readonly id: string;
  readonly bundleId: string;
  /** The workflow's name; the workflow itself may be gone later. */
  readonly workflow: string;
  readonly values: Values;
  /** The input that holds the words of what should happen, or null. */
  readonly prompt: string | null;
  readonly made: number;
  readonly seconds: number;
  readonly mime: "video/mp4" | "image/webp";
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  readonly fps: number;
  readonly video: Blob;
  readonly poster: Blob;
  readonly sent: boolean;
}

export const saveVideo = (record: VideoRecord) => db.put("videos", record.id, record);
export const getVideo = (id: string) => db.get<VideoRecord>("videos", id);
export const deleteVideo = (id: string) => db.remove("videos", id);

/** The newest first. */
export async function listVideos(): Promise<VideoRecord[]> {
  return (await db.all<VideoRecord>("videos")).sort((first, second) => second.made - first.made);
}

/** What people call the video: the words that made it, or the workflow. */
export function titleOf(record: VideoRecord): string {
  const words = record.prompt === null ? "" : String(record.values[record.prompt] ?? "");
  return words.trim() || record.workflow;
}

/** A file name for saving: plain letters, so that every system takes it. */
export function fileNameOf(record: VideoRecord): string {
  const words = titleOf(record)
    .normalize("NFKD")
    .replaceAll(/[^A-Za-z0-9]+/g, "-")
    .replaceAll(/^-+|-+$/g, "")
    .slice(0, 40);
  const ending = record.mime === "video/mp4" ? "mp4" : "webp";
  return `${words || "pocketvideo"}-${record.id.slice(0, 6)}.${ending}`.toLowerCase();
}
