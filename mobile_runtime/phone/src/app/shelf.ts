/** The workflows and videos on this phone, and the room for more. */

import { deleteVideo, getVideo, listVideos, type VideoRecord } from "../making/videos";
import type { Desk } from "../protocol/desk";
import { Client } from "../rpc";
import type { DownloadProgress, Installed, StorageHandlers } from "../storage/worker";
import * as state from "./state";

let client: Client<StorageHandlers> | null = null;
let workflowBytes = 0;

/** The worker that owns the store, started at its first use, and again where it did not start. */
export function storage(): Client<StorageHandlers> {
  if (client?.over) client = null;
  client ??= new Client<StorageHandlers>(
    new Worker(new URL("../storage/worker.ts", import.meta.url), { type: "module", name: "storage" }),
  );
  return client;
}

/** Read again what is here. */
export async function refresh(): Promise<void> {
  await refreshWorkflows();
  showVideos(await listVideos());
}

/** Read again which workflows are here. */
export async function refreshWorkflows(): Promise<void> {
  const { bundles, bytes } = await storage().call("inventory", null);
  workflowBytes = bytes;
  state.workflows.value = bundles;
  showVideos(state.videos.value);
}

/**
 * Read one video again, which was made, changed or deleted.
 *
 * To read all of them after each one would open two files for every video that was ever made here.
 */
export async function refreshVideo(id: string): Promise<void> {
  const record = await getVideo(id);
  const others = state.videos.value.filter((video) => video.id !== id);
  const all = record ? [record, ...others] : others;
  showVideos(all.sort((first, second) => second.made - first.made));
}

function showVideos(videos: readonly VideoRecord[]): void {
  state.stored.value = videos.reduce(
    (sum, { video, poster }) => sum + video.size + poster.size,
    workflowBytes,
  );
  state.videos.value = videos;
}

/** What brings a bundle from a desk; asks the browser, once, to keep what is stored. */
export function installBundle(desk: Desk) {
  return async (
    bundleId: string,
    onProgress: (told: DownloadProgress) => void,
    signal: AbortSignal,
  ): Promise<Installed> => {
    await keepForever();
    return storage().call(
      "download",
      { origin: desk.origin, token: desk.token ?? "", bundleId },
      { onProgress, signal },
    );
  };
}

/** Ask the browser not to clear our files when the phone gets full; whether it agreed. */
export async function keepForever(): Promise<boolean> {
  try {
    const persisted = (await navigator.storage.persisted()) || (await navigator.storage.persist());
    if (state.capability.value) state.capability.value = { ...state.capability.value, persisted };
    return persisted;
  } catch {
    return false;
  }
}

/** Bytes that the browser would still give us, or null where it does not tell. */
export async function freeBytes(): Promise<number | null> {
  const { quota, usage } = await navigator.storage.estimate();
  if (state.capability.value) {
    state.capability.value = { ...state.capability.value, quota: quota ?? null, usage: usage ?? null };
  }
  return state.free.value;
}

export async function removeWorkflow(bundleId: string): Promise<void> {
  await storage().call("remove", bundleId);
  for (const key of pictures.keys()) if (key.startsWith(`${bundleId}/`)) pictures.delete(key);
  await refreshWorkflows();
  await freeBytes();
}

export async function removeVideo(id: string): Promise<void> {
  await deleteVideo(id);
  await refreshVideo(id);
}

/** Pictures that were shown: one is shown again at every video, until that has a frame of its own. */
const pictures = new Map<string, Blob>();

/** A file of a workflow, as a picture for the screen; null where there is none. */
export async function picture(bundleId: string, path: string): Promise<Blob | null> {
  const key = `${bundleId}/${path}`;
  const shown = pictures.get(key);
  if (shown) return shown;
  const bytes = await storage().call("read", { bundleId, path });
  if (!bytes) return null;
  const made = new Blob([bytes]);
  pictures.set(key, made);
  return made;
}
