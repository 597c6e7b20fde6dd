/** Writes the licences of what the built app contains into `licences.txt`, as those licences ask. */

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Plugin } from "vite";

interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
}

/** Name, version, licence and its text of every package that is no tool of development. */
export function licences(root: string): string {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8"));
  const parts = Object.entries(lock.packages as Record<string, Locked>)
    .filter(([folder, { dev }]) => folder !== "" && !dev && !folder.includes("@types/"))
    .map(([folder, { version, license }]) => {
      const name = folder.replace(/^.*node_modules\//, "");
      if (!license) throw new Error(`${name} names no licence: ask its authors, or do without it.`);
      const file = readdirSync(join(root, folder)).find((one) => /^licen[cs]e/i.test(one));
      const text = file ? readFileSync(join(root, folder, file), "utf8").trim() : "";
      return `${name} ${version}: ${license}\n${text}`.trim();
    });
  const head = "PocketVideo's app is under the Apache License 2.0. It contains these packages:";
  return `${[head, ...parts].join(`\n\n${"-".repeat(80)}\n\n`)}\n`;
}

/** The plugin; it writes before the service worker's list is made, which names the file. */
export function licenceFile(): Plugin {
  let root = "";
  let folder = "";
  return {
    name: "pocketvideo-licences",
    apply: "build",
    configResolved(config) {
      root = config.root;
      folder = join(config.root, config.build.outDir);
    },
    writeBundle() {
      writeFileSync(join(folder, "licences.txt"), licences(root));
    },
  };
}
