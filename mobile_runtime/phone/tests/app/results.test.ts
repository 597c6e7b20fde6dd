import { expect, test, vi } from "vitest";
import { concatenate } from "../../src/bytes";
import { Desk } from "../../src/protocol/desk";
import { drawResultId, sendResult } from "../../src/protocol/results";
import { digest, noise } from "./bundles";

const bytes = noise(9 * 1024 * 1024, 4);
const video = new Blob([bytes], { type: "video/mp4" });
const result = {
  result_id: drawResultId(),
  bundle_id: "b".repeat(64),
  values: { prompt: "a" },
  seconds: 2,
  mime: "video/mp4",
  name: "a",
} as const;

/** A desk that takes results as docs/protocol.md section 12 says, and breaks the line where it is told to. */
function desk(breaks: number[]) {
  let stored = new Uint8Array();
  let requests = 0;
  const announced: Record<string, unknown>[] = [];
  const fetch = async (address: string, init: RequestInit = {}) => {
    requests += 1;
    if (breaks.includes(requests)) throw new TypeError("network");
    if (init.method === "POST") {
      announced.push(JSON.parse(String(init.body)));
      const state = stored.byteLength === bytes.byteLength ? "stored" : "open";
      return Response.json({ state, received: stored.byteLength }, { status: 201 });
    }
    expect(address).toBe(`https://desk/v1/results/${result.result_id}`);
    const [, first, last, total] =
      /^bytes (\d+)-(\d+)\/(\d+)$/.exec(new Headers(init.headers).get("Content-Range") ?? "") ?? [];
    expect(Number(total)).toBe(bytes.byteLength);
    expect(Number(first)).toBe(stored.byteLength);
    const body = new Uint8Array(init.body as Uint8Array<ArrayBuffer>);
    expect(body.byteLength).toBe(Number(last) - Number(first) + 1);
    stored = concatenate([stored, body]);
    return new Response(null, { status: 204 });
  };
  return { fetch, announced, stored: () => stored, requests: () => requests };
}

test("a video goes home piece by piece, announced with its digest", async () => {
  const there = desk([]);
  const told: number[] = [];
  await sendResult(
    new Desk("https://desk", "t", there.fetch),
    result,
    video,
    (now) => told.push(now),
    new AbortController().signal,
  );
  expect(digest(there.stored())).toBe(digest(bytes));
  expect(there.announced).toEqual([{ ...result, bytes: bytes.byteLength, sha256: digest(bytes) }]);
  expect(told.at(-1)).toBe(1);
  expect(told).toEqual([...told].sort((a, b) => a - b));
});

test("a line that breaks costs one piece, and a desk that has it all is asked for nothing", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout"], shouldAdvanceTime: true, advanceTimeDelta: 500 });
  try {
    const there = desk([3]);
    const send = () =>
      sendResult(
        new Desk("https://desk", "t", there.fetch),
        result,
        video,
        () => {},
        new AbortController().signal,
      );
    await send();
    expect(digest(there.stored())).toBe(digest(bytes));
    const before = there.requests();
    await send();
    expect(there.requests()).toBe(before + 1);
  } finally {
    vi.useRealTimers();
  }
});
