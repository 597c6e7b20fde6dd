/** The workflows and videos on this phone, and the room for more. */

import { deleteVideo, listVideos } from "../making/videos";
import type { Desk } from "../protocol/desk";
import { Client } from "../rpc";
import type { DownloadProgress, Installed, StorageHandlers } from "../storage/worker";
import * as state from "./state";

let client: Client<StorageHandlers> | null = null;

/** The worker that owns the store, started at its first use. */
export function storage(): Client<StorageHandlers> {
  client ??= new Client<StorageHandlers>(
    new Worker(new URL("../storage/worker.ts", import.meta.url), { type: "module", name: "storage" }),
  );
  return client;
}

/** Read again what is here. */
export async function refresh(): Promise<void> {
  const { bundles, bytes } = await storage().call("inventory", null);
  const videos = await listVideos();
  state.stored.value = videos.reduce((sum, { video, poster }) => sum + video.size + poster.size, bytes);
  state.workflows.value = bundles;
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
  await refresh();
  await freeBytes();
}

export async function removeVideo(id: string): Promise<void> {
  await deleteVideo(id);
  await refresh();
}

/** A file of a workflow, as a picture for the screen; null where there is none. */
export async function picture(bundleId: string, path: string): Promise<Blob | null> {
  const bytes = await storage().call("read", { bundleId, path });
  return bytes ? new Blob([bytes]) : null;
}
