/** Reads files of a bundle through a worker of its own, so that reading goes on while a network runs. */

import type { SourceSpec } from "../api";
import { BundleError, reviveError, startError } from "../errors";
import type { ReaderAnswer, ReaderRequest } from "./readerWorker";

interface Waiting {
  resolve(buffer: ArrayBuffer): void;
  reject(error: Error): void;
}

export class Reader {
  private readonly worker: Worker;
  private readonly waiting = new Map<number, Waiting>();
  private next = 1;
  private ended: Error | null = null;

  constructor(source: SourceSpec) {
    let heard = false;
    this.worker = new Worker(new URL("./readerWorker.ts", import.meta.url), {
      type: "module",
      name: "pocketvideo-reader",
    });
    this.worker.onmessage = ({ data }: MessageEvent<ReaderAnswer>) => {
      heard = true;
      const waiting = this.waiting.get(data.id);
      this.waiting.delete(data.id);
      if (data.error) waiting?.reject(reviveError(data.error));
      else waiting?.resolve(data.buffer);
    };
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.end(
        heard
          ? new BundleError(
              `The reader of the bundle's files ended (${event.message || "no reason told"}); load the app again.`,
            )
          : startError("The reader", event.message),
      );
    };
    this.post({ source }, []);
  }

  /**
   * Fill the beginning of a buffer. It is handed over to the reader and back, so that it is another object after: the
   * one that was given in must not be used any more.
   */
  read(sha256: string, offset: number, length: number, buffer: ArrayBuffer): Promise<ArrayBuffer> {
    if (this.ended !== null) return Promise.reject(this.ended);
    const id = this.next++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.post({ id, sha256, offset, length, buffer }, [buffer]);
    });
  }

  close(): void {
    this.end(new BundleError("The reader of the bundle's files was closed; open the engine again."));
  }

  private end(error: Error): void {
    this.ended ??= error;
    this.worker.terminate();
    for (const waiting of this.waiting.values()) waiting.reject(error);
    this.waiting.clear();
  }

  private post(request: ReaderRequest, transfer: Transferable[]): void {
    this.worker.postMessage(request, { transfer });
  }
}
