/** Bundles for tests, and a desk that serves them by the routes of docs/protocol.md section 7. */

import { createHash } from "node:crypto";
import type { Bytes } from "../../src/bytes";
import type { Fetch } from "../../src/protocol/desk";

export const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

export interface TestBundle {
  readonly id: string;
  readonly manifest: Bytes;
  readonly blobs: Map<string, Bytes>;
}

/** A bundle of these files; the parts of its manifest that storage does not read are left out. */
export function bundle(name: string, files: Record<string, Bytes>): TestBundle {
  const listed = Object.entries(files).map(([path, bytes]) => ({
    path,
    sha256: digest(bytes),
    bytes: bytes.byteLength,
  }));
  const text = JSON.stringify({
    format: "pocketvideo-bundle",
    version: 1,
    name,
    inputs: {},
    plan: [],
    files: listed,
  });
  const manifest = new TextEncoder().encode(text);
  const blobs = new Map(Object.values(files).map((bytes) => [digest(bytes), bytes]));
  return { id: digest(manifest), manifest, blobs };
}

export function noise(length: number, seed: number): Bytes {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let index = 0; index < length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

/** What a desk does with a request for a blob, instead of sending it whole. */
export type Mischief = (
  sha256: string,
  wanted: Bytes,
  time: number,
) => Bytes | "break" | { half: Bytes } | null;

/** A desk with bundles; `asked` tells the blobs that were asked for and from where. */
export class TestDesk {
  readonly asked: { sha256: string; from: number }[] = [];
  private readonly times = new Map<string, number>();

  constructor(
    private readonly bundles: readonly TestBundle[],
    private readonly mischief: Mischief = () => null,
  ) {}

  readonly fetch: Fetch = async (address, init = {}) => {
    init.signal?.throwIfAborted();
    const path = new URL(address).pathname;
    const manifest = this.bundles.find(({ id }) => path === `/v1/bundles/${id}/manifest`);
    if (manifest) return new Response(manifest.manifest);
    const sha256 = path.replace("/v1/blobs/", "");
    const blob = this.bundles.map(({ blobs }) => blobs.get(sha256)).find(Boolean);
    if (!blob) return Response.json({ error: { code: "not_found", message: "No." } }, { status: 404 });
    const range = new Headers(init.headers).get("Range");
    const from = range ? Number(/^bytes=(\d+)-$/.exec(range)?.[1]) : 0;
    this.asked.push({ sha256, from });
    const time = (this.times.get(sha256) ?? 0) + 1;
    this.times.set(sha256, time);
    const wanted = blob.slice(from);
    const done = this.mischief(sha256, wanted, time);
    if (done === "break") throw new TypeError("network");
    const status = from ? 206 : 200;
    if (done && "half" in done) return new Response(broken(done.half), { status });
    return new Response(done ?? wanted, { status });
  };
}

function broken(bytes: Bytes): ReadableStream<Uint8Array> {
  let sent = false;
  return new ReadableStream({
    pull(controller) {
      if (sent) controller.error(new TypeError("network"));
      else controller.enqueue(bytes);
      sent = true;
    },
  });
}
