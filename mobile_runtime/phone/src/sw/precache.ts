/** The app's files with their digests, and how the service worker keeps exactly these (T19). */

export interface PrecacheEntry {
  readonly url: string;
  readonly integrity: string;
  readonly later: boolean;
}

/** Where a version's files are kept: named by the list itself, so that two versions never share. */
export async function cacheName(list: string): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(list)));
  return `pocketvideo-${[...digest.subarray(0, 8)].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Whether a name is one of ours; other caches of this origin are not ours to remove. */
export function isOurs(name: string): boolean {
  return /^pocketvideo-[0-9a-f]{16}$/.test(name);
}

/** The entry that answers a request of this origin, or null where the network does: the desk's own routes. */
export function entryFor(
  entries: ReadonlyMap<string, PrecacheEntry>,
  url: URL,
  navigation: boolean,
): PrecacheEntry | null {
  const found = entries.get(url.pathname);
  if (found) return found;
  // A page of the app has one address; the desk's pages (/trust) and files keep theirs.
  return navigation && url.pathname === "/index.html" ? (entries.get("/") ?? null) : null;
}
