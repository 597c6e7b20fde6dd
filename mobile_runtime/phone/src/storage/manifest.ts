/** The parts of a bundle's manifest that the app itself reads; the engine checks the rest before it runs. */

import { type Bytes, sha256 } from "../bytes";
import type { Manifest } from "../engine/manifest";
import { AppError } from "../errors";

export type { Manifest };
export type Input = Manifest["inputs"][string];

const MAX_BYTES = 16 * 1024 * 1024;
const MAX_FILES = 20_000;

/** Parse a manifest whose bytes must have the digest `bundleId`. Raises AppError `bundle_bad`. */
export async function readManifest(bytes: Bytes, bundleId: string): Promise<Manifest> {
  if (bytes.byteLength > MAX_BYTES) throw new AppError("bundle_bad", "manifest.json");
  if ((await sha256(bytes)) !== bundleId) throw new AppError("bundle_bad", "manifest.json");
  let manifest: Manifest;
  try {
    manifest = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as Manifest;
  } catch {
    throw new AppError("bundle_bad", "manifest.json");
  }
  if (manifest?.format !== "pocketvideo-bundle" || manifest.version !== 1 || !goodFiles(manifest.files)) {
    throw new AppError("bundle_bad", "manifest.json");
  }
  return manifest;
}

/** The names of the inputs whose texts say what should happen, and what should not; null where there is none. */
export function promptsOf(manifest: Manifest): { wanted: string | null; unwanted: string | null } {
  const denoise = manifest.plan.find((op) => op.op === "denoise");
  if (denoise?.op !== "denoise") return { wanted: null, unwanted: null };
  const textOf = (id: string): string | null => {
    const op = manifest.plan.find((candidate) => candidate.id === id);
    return op?.op === "encode_text" && typeof op.text === "object" ? op.text.input : null;
  };
  return {
    wanted: textOf(denoise.positive.op),
    unwanted: denoise.negative ? textOf(denoise.negative.op) : null,
  };
}

/** Every blob of a bundle once, with its length: files of equal content share one. */
export function blobsOf(manifest: Manifest): Map<string, number> {
  return new Map(manifest.files.map((file) => [file.sha256, file.bytes]));
}

/** What a bundle takes on the disk. */
export function bytesOf(manifest: Manifest): number {
  let sum = 0;
  for (const bytes of blobsOf(manifest).values()) sum += bytes;
  return sum;
}

function goodFiles(files: unknown): boolean {
  return (
    Array.isArray(files) &&
    files.length > 0 &&
    files.length <= MAX_FILES &&
    files.every(
      (file) =>
        typeof file?.path === "string" &&
        typeof file.sha256 === "string" &&
        /^[0-9a-f]{64}$/.test(file.sha256) &&
        Number.isSafeInteger(file.bytes) &&
        file.bytes >= 0,
    )
  );
}
