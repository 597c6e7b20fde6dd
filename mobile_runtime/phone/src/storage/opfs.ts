/** Files in the browser's private file system (OPFS). Only a worker can open them to write. */

import { type Bytes, concatenate } from "../bytes";
import type { Files, OpenFile } from "./files";

/** All of ours lies below one folder of the origin's file system. */
export const ROOT = "pocketvideo";

// The library of TypeScript does not know yet what every engine with OPFS has.
type Movable = FileSystemFileHandle & { move?(name: string): Promise<void> };

export class OpfsFiles implements Files {
  async size(path: string): Promise<number | null> {
    const handle = await this.find(path);
    return handle ? (await handle.getFile()).size : null;
  }

  async open(path: string): Promise<OpenFile> {
    const [folder, name] = await this.folderOf(path, true);
    const handle = await (await folder.getFileHandle(name, { create: true })).createSyncAccessHandle();
    return {
      size: () => handle.getSize(),
      read: (into, at) => handle.read(into, { at }),
      write: (bytes, at) => {
        const written = handle.write(bytes as Bytes, { at });
        // A full disk shows as a short write in some browsers, and as an error in others.
        if (written !== bytes.byteLength) throw new DOMException("The disk is full.", "QuotaExceededError");
      },
      truncate: (size) => handle.truncate(size),
      flush: () => handle.flush(),
      close: () => handle.close(),
    };
  }

  async readAll(path: string): Promise<Bytes | null> {
    const handle = await this.find(path);
    return handle ? new Uint8Array(await (await handle.getFile()).arrayBuffer()) : null;
  }

  async rename(path: string, name: string): Promise<void> {
    const [folder, from] = await this.folderOf(path, false);
    const handle: Movable = await folder.getFileHandle(from);
    if (handle.move) {
      await handle.move(name);
      return;
    }
    await this.copy(folder, from, name);
    await folder.removeEntry(from);
  }

  async remove(path: string): Promise<void> {
    try {
      const [folder, name] = await this.folderOf(path, false);
      await folder.removeEntry(name, { recursive: true });
    } catch (error) {
      if (!missing(error)) throw error;
    }
  }

  async list(path: string): Promise<string[]> {
    try {
      const folder = await this.folder(path.split("/"), false);
      const names: string[] = [];
      for await (const name of folder.keys()) names.push(name);
      return names.sort();
    } catch (error) {
      if (missing(error)) return [];
      throw error;
    }
  }

  /** The handle of a file, or null where there is none. */
  async find(path: string): Promise<FileSystemFileHandle | null> {
    try {
      const [folder, name] = await this.folderOf(path, false);
      return await folder.getFileHandle(name);
    } catch (error) {
      if (missing(error)) return null;
      throw error;
    }
  }

  private async copy(folder: FileSystemDirectoryHandle, from: string, to: string): Promise<void> {
    const source = await (await folder.getFileHandle(from)).getFile();
    const target = await (await folder.getFileHandle(to, { create: true })).createSyncAccessHandle();
    try {
      target.truncate(0);
      let at = 0;
      const reader = source.stream().getReader();
      for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
        at += target.write(concatenate([piece.value]), { at });
      }
      target.flush();
    } finally {
      target.close();
    }
  }

  private async folderOf(path: string, create: boolean): Promise<[FileSystemDirectoryHandle, string]> {
    const parts = path.split("/");
    const name = parts.pop() ?? "";
    return [await this.folder(parts, create), name];
  }

  private async folder(parts: string[], create: boolean): Promise<FileSystemDirectoryHandle> {
    let folder = await navigator.storage.getDirectory();
    for (const part of [ROOT, ...parts]) folder = await folder.getDirectoryHandle(part, { create });
    return folder;
  }
}

function missing(error: unknown): boolean {
  return error instanceof DOMException && error.name === "NotFoundError";
}
