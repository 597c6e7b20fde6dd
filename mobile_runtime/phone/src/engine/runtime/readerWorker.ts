/** The worker that reads files of a bundle while a network runs in another. */

import type { BlobSource, SourceSpec } from "../api";
import { type PlainError, plainError } from "../errors";
import { openSource } from "./sources";

export type ReaderRequest =
  | { readonly source: SourceSpec }
  | {
      readonly id: number;
      readonly sha256: string;
      readonly offset: number;
      readonly length: number;
      readonly buffer: ArrayBuffer;
    };

export type ReaderAnswer = {
  readonly id: number;
  readonly buffer: ArrayBuffer;
  readonly seconds: number;
  readonly error?: PlainError;
};

let source: BlobSource | null = null;

self.onmessage = async ({ data }: MessageEvent<ReaderRequest>) => {
  if ("source" in data) {
    source = openSource(data.source);
    return;
  }
  const { id, sha256, offset, length, buffer } = data;
  const started = performance.now();
  let error: PlainError | null = null;
  try {
    await source?.read(sha256, offset, length, new Uint8Array(buffer, 0, length));
  } catch (problem) {
    error = plainError(problem);
  }
  const seconds = (performance.now() - started) / 1000;
  const answer: ReaderAnswer = { id, buffer, seconds, ...(error ? { error } : {}) };
  self.postMessage(answer, { transfer: [buffer] });
};
