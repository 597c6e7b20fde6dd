/**
 * The service worker: the app works without the desk.
 *
 * A version is a list of files with digests, written in here by the build. All of it is fetched and verified before
 * the version is installed, so an app is never half of one version and half of another, and a byte that is not the
 * build's is never kept. The desk's routes pass through untouched.
 */

import { cacheName, entryFor, isOurs, type PrecacheEntry } from "./precache";

const scope = self as unknown as ServiceWorkerGlobalScope;
const LIST = "__POCKETVIDEO_PRECACHE__";
const entries = new Map((JSON.parse(LIST) as PrecacheEntry[]).map((entry) => [entry.url, entry]));

scope.addEventListener("install", (event) => {
  event.waitUntil(install());
});

scope.addEventListener("activate", (event) => {
  event.waitUntil(activate());
});

scope.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (request.method !== "GET" || url.origin !== scope.location.origin) return;
  const entry = entryFor(entries, url, request.mode === "navigate");
  if (entry) event.respondWith(answer(entry));
});

scope.addEventListener("message", (event) => {
  if (event.data === "take-over") void scope.skipWaiting();
  const { keep } = (event.data ?? {}) as { keep?: unknown };
  if (typeof keep === "string") event.waitUntil(keepLater(keep));
});

async function install(): Promise<void> {
  const cache = await caches.open(await cacheName(LIST));
  const earlier = await earlierFiles();
  await Promise.all(
    [...entries.values()].map(async (entry) => {
      const known = earlier.get(entry.integrity);
      // A runtime that the last version had kept is carried over where it is the same; it is large.
      if (entry.later && !known) return;
      await cache.put(entry.url, known ?? (await fetchVerified(entry)));
    }),
  );
}

/** Keep a runtime before it is needed: the files whose addresses begin so. */
async function keepLater(prefix: string): Promise<void> {
  for (const entry of entries.values()) if (entry.later && entry.url.startsWith(prefix)) await answer(entry);
}

async function activate(): Promise<void> {
  const mine = await cacheName(LIST);
  for (const name of await caches.keys()) if (isOurs(name) && name !== mine) await caches.delete(name);
  await scope.clients.claim();
}

async function answer(entry: PrecacheEntry): Promise<Response> {
  const cache = await caches.open(await cacheName(LIST));
  const kept = await cache.match(entry.url);
  if (kept) return kept;
  const fresh = await fetchVerified(entry);
  await cache.put(entry.url, fresh.clone());
  return fresh;
}

/** A file from the desk whose digest is the build's; rejects where it is another. */
async function fetchVerified(entry: PrecacheEntry): Promise<Response> {
  const response = await fetch(entry.url, {
    cache: "no-cache",
    credentials: "omit",
    integrity: entry.integrity,
    redirect: "error",
  });
  if (!response.ok) throw new TypeError(`${entry.url}: HTTP ${response.status}`);
  // The digest of the file lies beside it, so that a later version can take it over without asking.
  const headers = new Headers(response.headers);
  headers.set("X-PocketVideo-Integrity", entry.integrity);
  return new Response(response.body, { status: response.status, headers });
}

async function earlierFiles(): Promise<Map<string, Response>> {
  const found = new Map<string, Response>();
  for (const name of (await caches.keys()).filter(isOurs)) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      const response = await cache.match(request);
      const integrity = response?.headers.get("X-PocketVideo-Integrity");
      if (response && integrity) found.set(integrity, response);
    }
  }
  return found;
}
