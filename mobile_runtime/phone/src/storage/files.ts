/** Files below one root, as the store needs them: random access, renaming, listing. Paths use forward slashes. */

import type { Bytes } from "../bytes";

export interface OpenFile {
  size(): number;
  /** Fill `into` from position `at`; how many bytes there were. */
  read(into: Bytes, at: number): number;
  write(bytes: Uint8Array, at: number): void;
  truncate(size: number): void;
  flush(): void;
  close(): void;
}

export interface Files {
  /** A file's length, or null where there is none. */
  size(path: string): Promise<number | null>;
  /** Open a file to read and write; it and its folders are made where they are missing. */
  open(path: string): Promise<OpenFile>;
  /** The whole of a file, or null where there is none. */
  readAll(path: string): Promise<Bytes | null>;
  /** Give a file another name in the same folder; a file that has the name is replaced. */
  rename(path: string, name: string): Promise<void>;
  /** Remove a file or a folder with all in it; nothing where there is none. */
  remove(path: string): Promise<void>;
  /** Names in a folder; none where there is no folder. */
  list(path: string): Promise<string[]>;
}
