/**
 * Bundles on the phone: blobs by their SHA-256, each once however many bundles share it, and manifests by theirs.
 *
 * A blob has its name only when its bytes were hashed and right; a bundle is listed only when its manifest has the
 * digest that its folder is named by, and all its blobs are there. So nothing that a killed tab leaves behind counts.
 */

import { createSHA256 } from "hash-wasm";
import type { Bytes } from "../bytes";
import { AppError } from "../errors";
import type { Files } from "./files";
import { blobsOf, bytesOf, type Manifest, readManifest } from "./manifest";

export const BLOBS = "blobs";
const BUNDLES = "bundles";
const PART = ".part";
const HASH_PIECE = 1024 * 1024;

export interface Installed {
  readonly bundleId: string;
  readonly manifest: Manifest;
  readonly bytes: number;
}

/** All bundles that are whole, and the bytes of every file here: parts of what did not come whole, too. */
export interface Inventory {
  readonly bundles: readonly Installed[];
  readonly bytes: number;
}

/** What is missing of a bundle: blobs with their lengths, and how much of them has come already. */
export interface Missing {
  readonly blobs: ReadonlyMap<string, number>;
  readonly bytes: number;
}

export class Store {
  constructor(private readonly files: Files) {}

  /** All bundles that are whole. */
  async list(): Promise<readonly Installed[]> {
    return (await this.inventory()).bundles;
  }

  async inventory(): Promise<Inventory> {
    const sizes = await this.sizes(() => true);
    let bytes = [...sizes.values()].reduce((sum, size) => sum + size, 0);
    const bundles: Installed[] = [];
    for (const bundleId of await this.files.list(BUNDLES)) {
      bytes += (await this.files.size(manifestPath(bundleId))) ?? 0;
      const installed = await this.get(bundleId);
      if (installed && missingOf(installed.manifest, sizes).blobs.size === 0) bundles.push(installed);
    }
    return { bundles, bytes };
  }

  /** A bundle whose manifest is here, or null. */
  async get(bundleId: string): Promise<Installed | null> {
    const bytes = await this.files.readAll(manifestPath(bundleId));
    if (!bytes) return null;
    try {
      const manifest = await readManifest(bytes, bundleId);
      return { bundleId, manifest, bytes: bytesOf(manifest) };
    } catch (error) {
      if (error instanceof AppError) return null;
      throw error;
    }
  }

  async missing(manifest: Manifest): Promise<Missing> {
    const wanted = blobsOf(manifest);
    return missingOf(manifest, await this.sizes((sha256) => wanted.has(sha256)));
  }

  /** Open a blob that is to come; what came earlier is hashed again, so that only the rest is asked for. */
  async receive(sha256: string, length: number): Promise<Receiver> {
    return Receiver.open(this.files, sha256, length);
  }

  /** List a bundle whose blobs have all come. Raises AppError `bundle_bad` where one has not. */
  async install(bundleId: string, manifestBytes: Bytes): Promise<Installed> {
    const manifest = await readManifest(manifestBytes, bundleId);
    if ((await this.missing(manifest)).blobs.size > 0) throw new AppError("bundle_bad", manifest.name);
    const file = await this.files.open(manifestPath(bundleId));
    try {
      file.truncate(0);
      file.write(manifestBytes, 0);
      file.flush();
    } finally {
      file.close();
    }
    return { bundleId, manifest, bytes: bytesOf(manifest) };
  }

  /** Remove a bundle, and every blob that no other bundle needs; how many bytes came free. */
  async remove(bundleId: string): Promise<number> {
    await this.files.remove(`${BUNDLES}/${bundleId}`);
    return this.collect();
  }

  /** Remove blobs and parts that no listed bundle needs, but those of `keep`; how many bytes came free. */
  async collect(keep: readonly Manifest[] = []): Promise<number> {
    const needed = new Set<string>();
    for (const bundleId of await this.files.list(BUNDLES)) {
      const installed = await this.get(bundleId);
      if (installed) for (const sha256 of blobsOf(installed.manifest).keys()) needed.add(sha256);
      else await this.files.remove(`${BUNDLES}/${bundleId}`);
    }
    for (const manifest of keep) for (const sha256 of blobsOf(manifest).keys()) needed.add(sha256);
    let freed = 0;
    for (const [name, size] of await this.sizes((sha256) => !needed.has(sha256))) {
      freed += size;
      await this.files.remove(`${BLOBS}/${name}`);
    }
    return freed;
  }

  /** Hash every blob of a bundle again and remove those that changed; their digests. */
  async verify(manifest: Manifest, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<string[]> {
    const broken: string[] = [];
    for (const [sha256, length] of blobsOf(manifest)) {
      const path = blobPath(sha256);
      const there = (await this.files.size(path)) === length;
      if (there) {
        const file = await this.files.open(path);
        try {
          if ((await hashOf(file, onBytes, signal)).digest("hex") === sha256) continue;
        } finally {
          file.close();
        }
      }
      await this.files.remove(path);
      broken.push(sha256);
    }
    return broken;
  }

  /** A file of an installed bundle, or null. */
  async read(installed: Installed, path: string): Promise<Bytes | null> {
    const file = installed.manifest.files.find((candidate) => candidate.path === path);
    return file ? this.files.readAll(blobPath(file.sha256)) : null;
  }

  /** The lengths of blobs and parts, by their names, of those whose digest is wanted. */
  private async sizes(wanted: (sha256: string) => boolean): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const name of await this.files.list(BLOBS)) {
      if (!wanted(name.endsWith(PART) ? name.slice(0, -PART.length) : name)) continue;
      const size = await this.files.size(`${BLOBS}/${name}`);
      if (size !== null) found.set(name, size);
    }
    return found;
  }
}

/** What the files of these names and lengths lack of a bundle. */
function missingOf(manifest: Manifest, sizes: ReadonlyMap<string, number>): Missing {
  const blobs = new Map<string, number>();
  let bytes = 0;
  for (const [sha256, length] of blobsOf(manifest)) {
    if (sizes.get(sha256) === length) continue;
    blobs.set(sha256, length);
    bytes += Math.max(0, length - (sizes.get(sha256 + PART) ?? 0));
  }
  return { blobs, bytes };
}

type Hasher = Awaited<ReturnType<typeof createSHA256>>;

/** A blob on its way: bytes go to `<sha256>.part`, and the whole gets its name when its digest is right. */
export class Receiver {
  private constructor(
    private readonly files: Files,
    private readonly sha256: string,
    private readonly length: number,
    private readonly file: Awaited<ReturnType<Files["open"]>>,
    private readonly hasher: Hasher,
    private at: number,
  ) {}

  static async open(files: Files, sha256: string, length: number): Promise<Receiver> {
    const file = await files.open(partPath(sha256));
    try {
      if (file.size() > length) file.truncate(0);
      const hasher = await hashOf(file, () => {}, new AbortController().signal);
      return new Receiver(files, sha256, length, file, hasher, file.size());
    } catch (error) {
      file.close();
      throw error;
    }
  }

  /** How many bytes are here: the first that is still wanted. */
  get received(): number {
    return this.at;
  }

  write(bytes: Uint8Array): void {
    if (this.at + bytes.byteLength > this.length) throw new AppError("blob_corrupt", this.sha256);
    this.file.write(bytes, this.at);
    this.hasher.update(bytes);
    this.at += bytes.byteLength;
  }

  /** Begin again, where the desk sends from the start. */
  restart(): void {
    this.file.truncate(0);
    this.hasher.init();
    this.at = 0;
  }

  /** Close the file and keep what came for the next try. */
  pause(): void {
    this.file.flush();
    this.file.close();
  }

  /** Give the whole blob its name. AppError `blob_corrupt`, and nothing is kept, where its digest is wrong. */
  async finish(): Promise<void> {
    const right = this.at === this.length && this.hasher.digest("hex") === this.sha256;
    this.file.flush();
    this.file.close();
    if (!right) {
      await this.files.remove(partPath(this.sha256));
      throw new AppError("blob_corrupt", this.sha256);
    }
    await this.files.rename(partPath(this.sha256), this.sha256);
  }
}

async function hashOf(
  file: { size(): number; read(into: Bytes, at: number): number },
  onBytes: (bytes: number) => void,
  signal: AbortSignal,
): Promise<Hasher> {
  const hasher = (await createSHA256()).init();
  const size = file.size();
  const piece = new Uint8Array(Math.min(HASH_PIECE, size));
  for (let at = 0; at < size; ) {
    signal.throwIfAborted();
    const count = file.read(piece, at);
    if (count === 0) break;
    hasher.update(piece.subarray(0, count));
    at += count;
    onBytes(count);
  }
  return hasher;
}

function blobPath(sha256: string): string {
  return `${BLOBS}/${sha256}`;
}

function partPath(sha256: string): string {
  return `${BLOBS}/${sha256}${PART}`;
}

function manifestPath(bundleId: string): string {
  return `${BUNDLES}/${bundleId}/manifest.json`;
}
