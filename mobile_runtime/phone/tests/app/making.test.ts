import { expect, test } from "vitest";
import { niceStep } from "../../src/app/parts/inputs";
import { type Capability, type Caution, choose } from "../../src/making/capability";
import { Guard } from "../../src/making/guard";
import { fileNameOf, titleOf, type VideoRecord } from "../../src/making/videos";

const GIB = 1024 ** 3;
const phone: Capability = {
  secure: true,
  isolated: true,
  gpu: { name: "Adreno 750", f16: true, largestBuffer: 2 * GIB },
  offline: true,
  cores: 8,
  memory: 8 * GIB,
  storage: true,
  quota: 60 * GIB,
  usage: 0,
  persisted: true,
  encoder: true,
};

test("a phone with a graphics processor uses it, within a quarter of its memory", () => {
  expect(choose(phone, 0)).toEqual({ plan: "webgpu", threads: 4, budgetBytes: 2 * GIB, why: "why_gpu" });
});

test("without a graphics processor, or with one too small, the processor computes", () => {
  expect(choose({ ...phone, gpu: null }, 0)).toMatchObject({ plan: "wasm", why: "why_no_gpu" });
  const small = { ...phone, gpu: { name: "old", f16: false, largestBuffer: 64 * 1024 * 1024 } };
  expect(choose(small, 0)).toMatchObject({ plan: "wasm", why: "why_small_gpu" });
});

test("without isolation there is one thread; without a figure, little memory", () => {
  expect(choose({ ...phone, isolated: false, memory: null }, 0)).toMatchObject({
    threads: 1,
    budgetBytes: 0.75 * GIB,
  });
});

test("every crash makes the next try gentler: half the memory, no GPU, a quarter", () => {
  const tries = ([0, 1, 2, 3] as Caution[]).map((caution) => choose(phone, caution));
  expect(tries.map(({ plan, budgetBytes }) => [plan, budgetBytes / GIB])).toEqual([
    ["webgpu", 2],
    ["webgpu", 1],
    ["wasm", 1],
    ["wasm", 0.5],
  ]);
  expect(tries[2]?.why).toBe("why_crashed");
});

class Shelf {
  readonly kept = new Map<string, string>();
  getItem = (key: string) => this.kept.get(key) ?? null;
  setItem = (key: string, value: string) => void this.kept.set(key, value);
  removeItem = (key: string) => void this.kept.delete(key);
}

class Page extends EventTarget {
  visibilityState: DocumentVisibilityState = "visible";
}

function running(shelf: Shelf) {
  const [page, window] = [new Page(), new EventTarget()];
  const leave = new Guard(shelf).enter(page as unknown as Document, window as unknown as Window);
  return { page, window, leave };
}

test("a page that died in a run is noticed, once", () => {
  const shelf = new Shelf();
  running(shelf);
  const next = new Guard(shelf);
  expect(next.settle()).toBe(true);
  expect(next.caution).toBe(1);
  expect(new Guard(shelf).settle()).toBe(false);
  for (let crash = 0; crash < 5; crash++) {
    running(shelf);
    new Guard(shelf).settle();
  }
  expect(new Guard(shelf).caution).toBe(3);
  next.forget();
  expect(next.caution).toBe(0);
});

test("a run that ended, a page that was closed, and one that died in the background are no crashes", () => {
  const shelf = new Shelf();
  running(shelf).leave();
  expect(new Guard(shelf).settle()).toBe(false);
  running(shelf).window.dispatchEvent(new Event("pagehide"));
  expect(new Guard(shelf).settle()).toBe(false);
  const { page } = running(shelf);
  page.visibilityState = "hidden";
  page.dispatchEvent(new Event("visibilitychange"));
  expect(new Guard(shelf).settle()).toBe(false);
  expect(new Guard(shelf).caution).toBe(0);
});

test("a GPU taken from a page that is seen counts as a crash; in the background phones take it as they like", () => {
  const guard = new Guard(new Shelf());
  guard.gpuLost({ visibilityState: "hidden" });
  expect(guard.caution).toBe(0);
  guard.gpuLost({ visibilityState: "visible" });
  expect(choose(phone, guard.caution)).toMatchObject({ plan: "webgpu", budgetBytes: GIB });
  guard.gpuLost({ visibilityState: "visible" });
  expect(choose(phone, guard.caution)).toMatchObject({ plan: "wasm", why: "why_crashed" });
});

const video = {
  id: "0123456789abcdef".repeat(2),
  workflow: "quickstart",
  values: { guidance: 4, photo: `sha256:${"0".repeat(64)}`, prompt: "Ein Stern fällt / 2", seed: "42" },
  prompt: "prompt",
  mime: "video/mp4",
} as unknown as VideoRecord;

test("a video is called after its words, and its file has a plain name", () => {
  expect(titleOf(video)).toBe("Ein Stern fällt / 2");
  expect(titleOf({ ...video, prompt: null })).toBe("quickstart");
  expect(fileNameOf(video)).toBe("ein-stern-fa-llt-2-012345.mp4");
  expect(fileNameOf({ ...video, values: { prompt: "星が落ちる" }, mime: "image/webp" })).toBe(
    "pocketvideo-012345.webp",
  );
});

test.each([
  [1, 0.01],
  [100, 1],
  [10, 0.1],
  [3, 0.05],
])("a slider over %d moves by %d", (span, step) => {
  expect(niceStep(span)).toBeCloseTo(step, 10);
});
