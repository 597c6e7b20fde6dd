/** Files in memory, with a disk that can be full; the browser tests use the real ones. */

import type { Bytes } from "../../src/bytes";
import type { Files, OpenFile } from "../../src/storage/files";

export class MemoryFiles implements Files {
  readonly contents = new Map<string, Bytes>();
  readonly open_ = new Set<string>();

  constructor(private readonly room = Number.POSITIVE_INFINITY) {}

  async size(path: string): Promise<number | null> {
    return this.contents.get(path)?.byteLength ?? null;
  }

  async open(path: string): Promise<OpenFile> {
    if (this.open_.has(path)) throw new Error(`${path} is open already`);
    this.open_.add(path);
    if (!this.contents.has(path)) this.contents.set(path, new Uint8Array());
    const now = () => this.contents.get(path) ?? new Uint8Array();
    const set = (bytes: Bytes) => {
      const others = [...this.contents].filter(([name]) => name !== path);
      const used = others.reduce((sum, [, other]) => sum + other.byteLength, 0);
      if (used + bytes.byteLength > this.room) throw new DOMException("full", "QuotaExceededError");
      this.contents.set(path, bytes);
    };
    return {
      size: () => now().byteLength,
      read: (into, at) => {
        const piece = now().subarray(at, at + into.byteLength);
        into.set(piece);
        return piece.byteLength;
      },
      write: (bytes, at) => {
        const grown = new Uint8Array(Math.max(now().byteLength, at + bytes.byteLength));
        grown.set(now());
        grown.set(bytes, at);
        set(grown);
      },
      truncate: (size) => set(now().slice(0, size)),
      flush: () => {},
      close: () => this.open_.delete(path),
    };
  }

  async readAll(path: string): Promise<Bytes | null> {
    return this.contents.get(path) ?? null;
  }

  async rename(path: string, name: string): Promise<void> {
    const bytes = this.contents.get(path);
    if (!bytes) throw new DOMException(path, "NotFoundError");
    this.contents.delete(path);
    this.contents.set([...path.split("/").slice(0, -1), name].join("/"), bytes);
  }

  async remove(path: string): Promise<void> {
    for (const name of [...this.contents.keys()]) {
      if (name === path || name.startsWith(`${path}/`)) this.contents.delete(name);
    }
  }

  async list(path: string): Promise<string[]> {
    const inside = [...this.contents.keys()].filter((name) => name.startsWith(`${path}/`));
    return [...new Set(inside.map((name) => name.slice(path.length + 1).split("/")[0] ?? ""))].sort();
  }
}
