import { beforeEach, expect, test, vi } from "vitest";
import { Desk } from "../../src/protocol/desk";
import { type DownloadProgress, download } from "../../src/storage/download";
import { Store } from "../../src/storage/store";
import { bundle, digest, type Mischief, noise, type TestBundle, TestDesk } from "./bundles";
import { MemoryFiles } from "./memoryFiles";

const ORIGIN = "https://desk:8189";
const shared = noise(50_000, 1);
const first = bundle("first", { "a.bin": shared, "b.bin": noise(3_000_000, 2), "copy.bin": shared });
const second = bundle("second", { "a.bin": shared, "c.bin": noise(10_000, 3) });
const plenty = { free: async () => 1e12 };

let files: MemoryFiles;
let store: Store;

beforeEach(() => {
  files = new MemoryFiles();
  store = new Store(files);
});

function get(
  wanted: TestBundle,
  {
    mischief,
    told = [],
    free = plenty,
  }: { mischief?: Mischief; told?: DownloadProgress[]; free?: typeof plenty } = {},
  signal = new AbortController().signal,
) {
  const desk = new TestDesk([first, second], mischief);
  const done = download(
    store,
    new Desk(ORIGIN, "t", desk.fetch),
    wanted.id,
    free,
    (now) => told.push(now),
    signal,
  );
  return { desk, done };
}

test("a bundle comes, is listed, and is read", async () => {
  const told: DownloadProgress[] = [];
  const { desk, done } = get(first, { told });
  await done;
  const [listed] = await store.list();
  expect(listed?.bundleId).toBe(first.id);
  expect(listed?.bytes).toBe(3_050_000);
  expect(listed && (await store.read(listed, "copy.bin"))).toEqual(shared);
  expect(desk.asked.map(({ from }) => from)).toEqual([0, 0]);
  expect(told.at(-1)).toMatchObject({ stage: "verify", done: 3_050_000, total: 3_050_000 });
  expect(files.open_.size).toBe(0);
});

test("what two bundles share is sent once and stays until both are gone", async () => {
  await get(first).done;
  const { desk, done } = get(second);
  await done;
  expect(desk.asked.map(({ sha256 }) => sha256)).toEqual([...second.blobs.keys()].slice(1));
  expect(await store.remove(first.id)).toBe(3_000_000);
  expect((await store.list()).map(({ bundleId }) => bundleId)).toEqual([second.id]);
  expect(await store.remove(second.id)).toBe(60_000);
  expect(await files.list("blobs")).toEqual([]);
});

test("what all files take is counted: shared ones once, lists, and parts of what did not come whole", async () => {
  expect((await store.inventory()).bytes).toBe(0);
  await get(first).done;
  await get(second).done;
  const list = (id: string) => files.contents.get(`bundles/${id}/manifest.json`)?.byteLength ?? 0;
  const [one, two] = [list(first.id), list(second.id)];
  expect((await store.inventory()).bytes).toBe(3_060_000 + one + two);
  files.contents.set(`blobs/${"0".repeat(64)}.part`, noise(500, 5));
  await store.remove(first.id);
  // Removing collects what nobody needs, and the part with it.
  expect((await store.inventory()).bytes).toBe(60_000 + two);
  files.contents.set(`blobs/${"0".repeat(64)}.part`, noise(500, 5));
  expect((await store.inventory()).bytes).toBe(60_500 + two);
});

test("a line that breaks goes on where it stopped", async () => {
  const large = digest(noise(3_000_000, 2));
  const { desk, done } = get(first, {
    mischief: (sha256, wanted, time) =>
      sha256 === large && time === 1 ? { half: wanted.slice(0, 1_000_000) } : null,
  });
  await done;
  expect(desk.asked.filter(({ sha256 }) => sha256 === large).map(({ from }) => from)).toEqual([0, 1_000_000]);
  expect(await store.list()).toHaveLength(1);
});

test("a tab that died in the middle leaves nothing that counts, and what came is not sent again", async () => {
  const large = digest(noise(3_000_000, 2));
  const half = noise(3_000_000, 2).slice(0, 2_000_000);
  files.contents.set(`blobs/${large}.part`, half);
  files.contents.set(`blobs/${digest(shared)}`, shared);
  expect(await store.list()).toEqual([]);
  const { desk, done } = get(first);
  await done;
  expect(desk.asked).toEqual([{ sha256: large, from: 2_000_000 }]);
});

test("a part that is not the file's beginning is found out, and the file comes whole", async () => {
  const large = digest(noise(3_000_000, 2));
  files.contents.set(`blobs/${large}.part`, noise(1_000_000, 99));
  const { desk, done } = get(first);
  await done;
  expect(desk.asked.filter(({ sha256 }) => sha256 === large).map(({ from }) => from)).toEqual([1_000_000, 0]);
});

test("T12: a file with a flipped byte is thrown away and asked for once more, and then refused", async () => {
  const flipped = shared.slice();
  flipped[100] = (flipped[100] ?? 0) ^ 1;
  const once = get(first, {
    mischief: (sha256, _, time) => (sha256 === digest(shared) && time === 1 ? flipped : null),
  });
  await once.done;
  await store.remove(first.id);
  const always = get(first, { mischief: (sha256) => (sha256 === digest(shared) ? flipped : null) });
  await expect(always.done).rejects.toMatchObject({ problem: "blob_corrupt" });
  expect(await store.list()).toEqual([]);
  expect(await files.size(`blobs/${digest(shared)}`)).toBeNull();
});

test("T12: a manifest of another digest is refused", async () => {
  const other = { ...first, id: second.id };
  const desk = new TestDesk([other]);
  const done = download(
    store,
    new Desk(ORIGIN, "t", desk.fetch),
    second.id,
    plenty,
    () => {},
    new AbortController().signal,
  );
  await expect(done).rejects.toMatchObject({ problem: "bundle_bad" });
});

test("a bundle that does not fit is refused before a byte of it comes", async () => {
  const { desk, done } = get(first, { free: { free: async () => 1_000_000 } });
  await expect(done).rejects.toMatchObject({
    problem: "storage_full",
    numbers: { wanted: 3_050_000 + 16 * 1024 * 1024, free: 1_000_000 },
  });
  expect(desk.asked).toEqual([]);
});

test("a disk that fills up on the way is told, and every file is closed", async () => {
  files = new MemoryFiles(100_000);
  store = new Store(files);
  await expect(get(first).done).rejects.toMatchObject({ name: "QuotaExceededError" });
  expect(files.open_.size).toBe(0);
  expect(await store.list()).toEqual([]);
});

test("leftovers of bundles that never came whole make room for one that does", async () => {
  files.contents.set(`blobs/${"0".repeat(64)}.part`, noise(500, 5));
  const free = vi.fn(async () => (files.contents.has(`blobs/${"0".repeat(64)}.part`) ? 0 : 1e12));
  await get(second, { free: { free } }).done;
  expect(await store.list()).toHaveLength(1);
});

test("a desk that stays away ends the download, and what came is kept", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout"] });
  try {
    const large = digest(noise(3_000_000, 2));
    const { done } = get(first, {
      mischief: (sha256, wanted, time) =>
        sha256 !== large ? null : time === 1 ? { half: wanted.slice(0, 5_000) } : "break",
    });
    let over = false;
    const seen = expect(
      done.finally(() => {
        over = true;
      }),
    ).rejects.toMatchObject({ problem: "desk_away" });
    while (!over) {
      await vi.advanceTimersByTimeAsync(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await seen;
    expect(await files.size(`blobs/${large}.part`)).toBe(5_000);
  } finally {
    vi.useRealTimers();
  }
});

test("a cancelled download stops and closes its files", async () => {
  const controller = new AbortController();
  const { done } = get(
    first,
    {
      mischief: () => {
        controller.abort();
        return null;
      },
    },
    controller.signal,
  );
  await expect(done).rejects.toThrow();
  expect(files.open_.size).toBe(0);
});

test("files that changed on the disk are found and removed", async () => {
  await get(first).done;
  const path = `blobs/${digest(shared)}`;
  files.contents.set(path, noise(50_000, 7));
  const [installed] = await store.list();
  if (!installed) throw new Error("not listed");
  const broken = await store.verify(installed.manifest, () => {}, new AbortController().signal);
  expect(broken).toEqual([digest(shared)]);
  expect(await store.list()).toEqual([]);
  await get(first).done;
  expect(await store.list()).toHaveLength(1);
});
