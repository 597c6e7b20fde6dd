/** Bringing a bundle from the desk into the store: several blobs at once, resumed where they stopped, verified. */

import type { Bytes } from "../bytes";
import { release } from "../engine/numbers/arrays";
import { AppError } from "../errors";
import { type Desk, DeskRefused } from "../protocol/desk";
import { bytesOf, type Manifest, readManifest } from "./manifest";
import type { Installed, Receiver, Store } from "./store";

const AT_ONCE = 3;
const TRIES = 5;
const PAUSE = 500;
const TELL_EVERY = 200;
// Beside the bundle: manifests, the browser's own books, and the video that is made of it.
const SPARE_BYTES = 16 * 1024 * 1024;

/** How far a download is; `name` as soon as the manifest is here. */
export interface DownloadProgress {
  readonly stage: "download" | "verify";
  readonly name: string;
  readonly done: number;
  readonly total: number;
}

export interface Room {
  /** Bytes that the browser would still give us. */
  free(): Promise<number>;
}

/** Fetch what is missing of a bundle and list it. Raises AppError. What came stays for the next try. */
export async function download(
  store: Store,
  desk: Desk,
  bundleId: string,
  room: Room,
  onProgress: (progress: DownloadProgress) => void,
  signal: AbortSignal,
): Promise<Installed> {
  const manifestBytes = await manifestOf(desk, bundleId, signal);
  const manifest = await readManifest(manifestBytes, bundleId);
  const missing = await store.missing(manifest);
  await makeRoom(store, room, manifest, missing.bytes);
  const total = bytesOf(manifest);
  let done = total - missing.bytes;
  let told = 0;
  const tell = (bytes: number) => {
    done += bytes;
    const now = performance.now();
    if (now - told < TELL_EVERY && done < total) return;
    told = now;
    onProgress({ stage: "download", name: manifest.name, done, total });
  };
  tell(0);
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const waiting = [...missing.blobs];
  const lines = Array.from({ length: AT_ONCE }, async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      await fetchBlob(store, desk, next[0], next[1], tell, either);
    }
  });
  try {
    await Promise.all(lines);
  } catch (error) {
    stop.abort();
    // The files of the other lines must be closed before anyone tries again.
    await Promise.allSettled(lines);
    throw error;
  }
  onProgress({ stage: "verify", name: manifest.name, done: total, total });
  return store.install(bundleId, manifestBytes);
}

async function manifestOf(desk: Desk, bundleId: string, signal: AbortSignal): Promise<Bytes> {
  const answer = await desk.request("GET", `/v1/bundles/${bundleId}/manifest`, { signal });
  return new Uint8Array(await answer.arrayBuffer());
}

async function makeRoom(store: Store, room: Room, manifest: Manifest, wanted: number): Promise<void> {
  if (wanted === 0) return;
  if ((await room.free()) >= wanted + SPARE_BYTES) return;
  // Parts of bundles that never came whole may lie here.
  await store.collect([manifest]);
  const free = await room.free();
  if (free < wanted + SPARE_BYTES) {
    throw new AppError("storage_full", manifest.name, { wanted: wanted + SPARE_BYTES, free });
  }
}

async function fetchBlob(
  store: Store,
  desk: Desk,
  sha256: string,
  length: number,
  tell: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const receiver = await store.receive(sha256, length);
    const before = receiver.received;
    let open = true;
    try {
      if (receiver.received < length) await pull(desk, sha256, receiver, tell, signal);
      open = false;
      await receiver.finish();
      return;
    } catch (error) {
      if (open) receiver.pause();
      const corrupt = error instanceof AppError && error.problem === "blob_corrupt";
      if (corrupt) tell(-receiver.received);
      // A line that broke after it moved bytes is worth another try; one that moves none is tried a few times.
      const moved = !corrupt && receiver.received > before;
      if (signal.aborted || !worthAnotherTry(error, corrupt, moved ? 1 : attempt)) throw error;
      if (moved) attempt = 1;
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE * attempt));
    signal.throwIfAborted();
  }
}

function worthAnotherTry(error: unknown, corrupt: boolean, attempt: number): boolean {
  if (corrupt) return attempt < 2;
  if (error instanceof DeskRefused) return error.status === 429 && attempt < TRIES;
  return error instanceof AppError && error.problem === "desk_away" && attempt < TRIES;
}

async function pull(
  desk: Desk,
  sha256: string,
  receiver: Receiver,
  tell: (bytes: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const headers: Record<string, string> = receiver.received ? { Range: `bytes=${receiver.received}-` } : {};
  const answer = await desk.request("GET", `/v1/blobs/${sha256}`, { headers, signal });
  if (receiver.received && answer.status !== 206) {
    tell(-receiver.received);
    receiver.restart();
  }
  const reader = answer.body?.getReader();
  if (!reader) throw new AppError("desk_away");
  for (;;) {
    let piece: ReadableStreamReadResult<Uint8Array>;
    try {
      piece = await reader.read();
    } catch (error) {
      if (signal.aborted) throw error;
      throw new AppError("desk_away");
    }
    if (piece.done) return;
    const { byteLength } = piece.value;
    receiver.write(piece.value);
    // A self-test follows at once, and has better uses for the memory than a collector that takes its time.
    release(piece.value);
    tell(byteLength);
  }
}
