import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cacheName, entryFor, isOurs } from "../../src/sw/precache";
import { entriesOf } from "../../tooling/precache.ts";

test("T19: every built file is listed with its digest; runtimes come later, and the worker lists not itself", () => {
  const folder = mkdtempSync(join(tmpdir(), "dist-"));
  try {
    mkdirSync(join(folder, "assets"));
    writeFileSync(join(folder, "index.html"), "page");
    writeFileSync(join(folder, "sw.js"), "worker");
    writeFileSync(join(folder, "assets", "app.js"), "app");
    writeFileSync(join(folder, "assets", "runtime.wasm"), "runtime");
    const listed = entriesOf(folder);
    expect(listed.map(({ url, later }) => [url, later])).toEqual([
      ["/", false],
      ["/assets/app.js", false],
      ["/assets/runtime.wasm", true],
    ]);
    expect(listed[0]?.integrity).toBe(`sha256-${createHash("sha256").update("page").digest("base64")}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("T19: the desk's routes and foreign paths pass through", () => {
  const page = { url: "/", integrity: "sha256-x", later: false };
  const entries = new Map([[page.url, page]]);
  const at = (path: string, navigation = false) =>
    entryFor(entries, new URL(path, "https://desk"), navigation);
  expect(at("/", true)).toBe(page);
  expect(at("/?source=homescreen", true)).toBe(page);
  expect(at("/index.html", true)).toBe(page);
  expect(at("/trust", true)).toBeNull();
  expect(at("/v1/jobs/next")).toBeNull();
  expect(at("/ca.crt", true)).toBeNull();
});

test("T19: a version's cache is named by its list, and no other cache is ours", async () => {
  const name = await cacheName("[]");
  expect(isOurs(name)).toBe(true);
  expect(await cacheName("[1]")).not.toBe(name);
  expect(isOurs("workbox-precache")).toBe(false);
  expect(isOurs("pocketvideo-")).toBe(false);
});
