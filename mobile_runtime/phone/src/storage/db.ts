/** Small records in IndexedDB: the pairing, settings, and the videos that were made. */

const NAME = "pocketvideo";
const VERSION = 1;
export type Table = "keep" | "videos";

let opening: Promise<IDBDatabase> | null = null;

function open(): Promise<IDBDatabase> {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      request.result.createObjectStore("keep");
      request.result.createObjectStore("videos");
    };
    request.onsuccess = () => {
      // Another tab with a newer app must not wait for this one.
      request.result.onversionchange = () => request.result.close();
      resolve(request.result);
    };
    request.onerror = () => {
      opening = null;
      reject(request.error);
    };
  });
  return opening;
}

async function run<T>(
  table: Table,
  mode: IDBTransactionMode,
  work: (store: IDBObjectStore) => IDBRequest<T>,
): Promise<T> {
  const transaction = (await open()).transaction(table, mode);
  const request = work(transaction.objectStore(table));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onerror = () => reject(transaction.error);
    transaction.onabort = () => reject(transaction.error ?? new DOMException("aborted", "AbortError"));
  });
}

export const get = <T>(table: Table, key: string) =>
  run<T | undefined>(table, "readonly", (store) => store.get(key));
export const all = <T>(table: Table) => run<T[]>(table, "readonly", (store) => store.getAll());
export const put = (table: Table, key: string, value: unknown) =>
  run(table, "readwrite", (store) => store.put(value, key)).then(() => {});
export const remove = (table: Table, key: string) =>
  run(table, "readwrite", (store) => store.delete(key)).then(() => {});
export const clear = (table: Table) => run(table, "readwrite", (store) => store.clear()).then(() => {});
