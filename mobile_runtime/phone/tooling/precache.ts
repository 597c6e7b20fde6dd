/** Writes the list of the app's files and their digests into the service worker, after everything was built. */

import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import type { Plugin } from "vite";

/** A file of the app: its address, its digest as `integrity` wants it, and whether it is fetched only when needed. */
export interface PrecacheEntry {
  readonly url: string;
  readonly integrity: string;
  readonly later: boolean;
}

/** What the built service worker holds until `precache` puts the list there. */
export const PLACEHOLDER = "__POCKETVIDEO_PRECACHE__";

// Runtimes are large and a phone needs one of them: it is kept when the app has chosen.
const LATER = /\.wasm$/;
// The worker itself is never cached by itself, and a page has one address.
const LEFT_OUT = new Set(["/sw.js"]);

/** The entries of a folder of built files. */
export function entriesOf(folder: string): PrecacheEntry[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({ path, url: `/${relative(folder, path).split(sep).join("/")}` }))
    .filter(({ url }) => !LEFT_OUT.has(url))
    .map(({ path, url }) => ({
      url: url === "/index.html" ? "/" : url,
      integrity: `sha256-${createHash("sha256").update(readFileSync(path)).digest("base64")}`,
      later: LATER.test(url),
    }))
    .sort((first, second) => (first.url < second.url ? -1 : 1));
}

/** The plugin: fails the build where the service worker has no place for the list. */
export function precache(): Plugin {
  let folder = "";
  return {
    name: "pocketvideo-precache",
    apply: "build",
    configResolved(config) {
      folder = join(config.root, config.build.outDir);
    },
    closeBundle() {
      const worker = join(folder, "sw.js");
      const code = readFileSync(worker, "utf8");
      const quoted = new RegExp(`["'\`]${PLACEHOLDER}["'\`]`);
      if (!quoted.test(code)) throw new Error("The service worker has no place for its list of files.");
      writeFileSync(
        worker,
        code.replace(quoted, () => JSON.stringify(JSON.stringify(entriesOf(folder)))),
      );
    },
  };
}
