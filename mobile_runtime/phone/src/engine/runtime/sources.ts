/** Where blobs come from: the origin private file system, or an address. Both run in the reader's worker. */

import type { BlobSource, SourceSpec } from "../api";
import { BundleError } from "../errors";

export function openSource(spec: SourceSpec): BlobSource {
  return spec.kind === "opfs" ? new OpfsSource(spec.directory) : new FetchSource(spec.base);
}

function gone(sha256: string, why: string): BundleError {
  return new BundleError(`The file ${sha256.slice(0, 12)} of the bundle ${why}; fetch the bundle again.`);
}

// Sync access handles take a mode in Chromium; the library of TypeScript does not know it yet.
interface ModeHandle {
  createSyncAccessHandle(options?: { mode: "read-only" }): Promise<FileSystemSyncAccessHandle>;
}

class OpfsSource implements BlobSource {
  private readonly folder: Promise<FileSystemDirectoryHandle>;
  // Streamed files are read again and again; a handle asked for anew each time is memory until it is collected.
  private readonly handles = new Map<string, FileSystemFileHandle>();

  constructor(directory: string) {
    this.folder = this.open(directory);
    // Told with the first read.
    this.folder.catch(() => {});
  }

  async read(sha256: string, offset: number, length: number, into: Uint8Array): Promise<void> {
    let access: FileSystemSyncAccessHandle;
    try {
      access = await ((await this.handle(sha256)) as unknown as ModeHandle).createSyncAccessHandle({
        mode: "read-only",
      });
    } catch (error) {
      throw gone(sha256, `cannot be opened (${(error as Error).name})`);
    }
    // Open only while it is read: a handle keeps others from removing the file.
    try {
      let done = 0;
      while (done < length) {
        const view = into.subarray(done, length);
        const got = access.read(view as Uint8Array<ArrayBuffer>, { at: offset + done });
        if (got <= 0) throw gone(sha256, `has ${offset + done} bytes and should have ${offset + length}`);
        done += got;
      }
    } finally {
      access.close();
    }
  }

  close(): void {
    this.handles.clear();
  }

  private async handle(sha256: string): Promise<FileSystemFileHandle> {
    const known = this.handles.get(sha256);
    if (known !== undefined) return known;
    const made = await (await this.folder).getFileHandle(sha256);
    this.handles.set(sha256, made);
    return made;
  }

  private async open(directory: string): Promise<FileSystemDirectoryHandle> {
    let folder = await navigator.storage.getDirectory();
    for (const name of directory.split("/").filter(Boolean)) folder = await folder.getDirectoryHandle(name);
    return folder;
  }
}

class FetchSource implements BlobSource {
  private readonly stopped = new AbortController();

  constructor(private readonly base: string) {}

  async read(sha256: string, offset: number, length: number, into: Uint8Array): Promise<void> {
    if (length === 0) return;
    const headers = { Range: `bytes=${offset}-${offset + length - 1}` };
    let answer: Response;
    try {
      answer = await fetch(`${this.base}${sha256}`, { headers, signal: this.stopped.signal });
    } catch {
      throw gone(sha256, "cannot be reached");
    }
    if (!answer.ok || answer.body === null) throw gone(sha256, `was refused (${answer.status})`);
    // A server without ranges sends the whole file.
    let skip = answer.status === 206 ? 0 : offset;
    let done = 0;
    const reader = answer.body.getReader();
    while (done < length) {
      const { value, done: over } = await reader.read();
      if (over) throw gone(sha256, `has ${offset + done} bytes and should have ${offset + length}`);
      const from = Math.min(skip, value.length);
      skip -= from;
      const part = value.subarray(from, from + length - done);
      into.set(part, done);
      done += part.length;
    }
    await reader.cancel();
  }

  close(): void {
    this.stopped.abort();
  }
}
