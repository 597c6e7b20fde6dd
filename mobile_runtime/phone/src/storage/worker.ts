/** The worker that owns the store: only here may files of the private file system be written. */

import { Desk } from "../protocol/desk";
import { type Call, serve } from "../rpc";
import { type DownloadProgress, download } from "./download";
import { OpfsFiles } from "./opfs";
import { type Installed, Store } from "./store";

const store = new Store(new OpfsFiles());

const room = {
  async free(): Promise<number> {
    const { quota = 0, usage = 0 } = await navigator.storage.estimate();
    return quota - Math.max(usage, (await store.inventory()).bytes);
  },
};

export interface DownloadOrder {
  readonly origin: string;
  readonly token: string;
  readonly bundleId: string;
}

export type { DownloadProgress, Installed };

const handlers = {
  inventory: (_: null) => store.inventory(),
  get: (bundleId: string) => store.get(bundleId),
  remove: (bundleId: string) => alone(() => store.remove(bundleId)),
  download: (order: DownloadOrder, call: Call) =>
    alone(() =>
      download(store, new Desk(order.origin, order.token), order.bundleId, room, call.progress, call.signal),
    ),
  /** How many files of an installed bundle are broken; they are removed, so that they can come again. */
  verify: (bundleId: string, call: Call) =>
    alone(async () => {
      const installed = await store.get(bundleId);
      if (!installed) return 0;
      let done = 0;
      const broken = await store.verify(
        installed.manifest,
        (bytes) => {
          done += bytes;
          call.progress(done / Math.max(1, installed.bytes));
        },
        call.signal,
      );
      return broken.length;
    }),
  read: async ({ bundleId, path }: { bundleId: string; path: string }) => {
    const installed = await store.get(bundleId);
    return installed ? store.read(installed, path) : null;
  },
};

export type StorageHandlers = typeof handlers;

// What writes, writes alone: two jobs must not fetch into one file.
let last: Promise<unknown> = Promise.resolve();

function alone<T>(work: () => Promise<T>): Promise<T> {
  const mine = last.then(work, work);
  last = mine;
  return mine;
}

serve(self as unknown as Worker, handlers);
