/** The files of a bundle by their paths. */

import { headerEnd, type Layout, readLayout } from "../bundle/safetensors";
import { BundleError } from "../errors";
import type { File, Manifest } from "../manifest";
import type { Reader } from "./reader";

// Most headers are shorter, so that one read is enough.
const FIRST_READ = 64 * 1024;

export class BundleFiles {
  private readonly entries: ReadonlyMap<string, File>;
  private readonly layouts = new Map<string, Layout>();

  constructor(
    private readonly manifest: Manifest,
    private readonly reader: Reader,
  ) {
    this.entries = new Map(manifest.files.map((file) => [file.path, file]));
  }

  /** The bytes of a small file. Throws BundleError for a path that the manifest does not list. */
  async read(path: string): Promise<Uint8Array<ArrayBuffer>> {
    const entry = this.entry(path);
    return this.part(entry, entry.bytes);
  }

  /** A whole file into the beginning of a buffer; the buffer back, as `Reader.read` gives it. */
  readInto(path: string, buffer: ArrayBuffer): Promise<ArrayBuffer> {
    const entry = this.entry(path);
    return this.reader.read(entry.sha256, 0, entry.bytes, buffer);
  }

  size(path: string): number {
    return this.entry(path).bytes;
  }

  /** Where the tensors of a weight file lie. */
  async layout(path: string): Promise<Layout> {
    const known = this.layouts.get(path);
    if (known !== undefined) return known;
    const entry = this.entry(path);
    let head = await this.part(entry, Math.min(entry.bytes, FIRST_READ));
    const end = headerEnd(path, head, entry.bytes);
    if (end > head.length) head = await this.part(entry, end);
    const layout = readLayout(path, head, entry.bytes);
    this.layouts.set(path, layout);
    return layout;
  }

  private async part(entry: File, length: number): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await this.reader.read(entry.sha256, 0, length, new ArrayBuffer(length)));
  }

  private entry(path: string): File {
    const entry = this.entries.get(path);
    if (entry === undefined)
      throw new BundleError(`The bundle '${this.manifest.name}' has no file '${path}'; export it again.`);
    return entry;
  }
}
