import { afterEach, expect, test } from "vitest";
import { AppError } from "../../src/errors";
import { type Call, Client, serve } from "../../src/rpc";

const handlers = {
  double: (number: number) => 2 * number,
  count: async (to: number, call: Call) => {
    for (let index = 1; index <= to; index++) {
      call.signal.throwIfAborted();
      call.progress(index);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    return to;
  },
  full: () => {
    throw new AppError("storage_full", "quickstart", { wanted: 2, free: 1 });
  },
  quota: () => {
    throw new DOMException("no room", "QuotaExceededError");
  },
};

const open: MessageChannel[] = [];

function connect(): Client<typeof handlers> {
  const channel = new MessageChannel();
  open.push(channel);
  serve(channel.port2, handlers);
  channel.port1.start();
  channel.port2.start();
  return new Client<typeof handlers>(channel.port1);
}

afterEach(() => {
  for (const { port1 } of open.splice(0)) port1.close();
});

test("calls answer each for itself, and progress comes before", async () => {
  const client = connect();
  const told: number[] = [];
  const counting = client.call("count", 3, { onProgress: (now: number) => told.push(now) });
  expect(await client.call("double", 21)).toBe(42);
  expect(await counting).toBe(3);
  expect(told).toEqual([1, 2, 3]);
});

test("an error keeps its code and its figures on the way", async () => {
  const client = connect();
  const error = await client.call("full", undefined as never).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(AppError);
  expect(error).toMatchObject({
    problem: "storage_full",
    detail: "quickstart",
    numbers: { wanted: 2, free: 1 },
  });
  await expect(client.call("quota", undefined as never)).rejects.toMatchObject({
    name: "QuotaExceededError",
  });
});

test("a cancelled call stops in the worker", async () => {
  const client = connect();
  const controller = new AbortController();
  const told: number[] = [];
  const counting = client.call("count", 10_000, {
    onProgress: (now: number) => {
      told.push(now);
      if (now === 2) controller.abort();
    },
    signal: controller.signal,
  });
  await expect(counting).rejects.toMatchObject({ name: "AbortError" });
  expect(told.length).toBeLessThan(100);
});

test("a worker that does not start leaves nobody waiting, and whoever calls later hears of it", async () => {
  const { port1 } = new MessageChannel();
  const client = new Client<typeof handlers>(port1);
  const waiting = client.call("double", 1);
  expect(client.over).toBe(false);
  port1.dispatchEvent(new Event("error"));
  await expect(waiting).rejects.toThrow("A part of the app did not start (its program did not come)");
  await expect(client.call("double", 2)).rejects.toThrow("A part of the app did not start");
  expect(client.over).toBe(true);
  port1.close();
});

test("a worker that has answered goes on after an error", async () => {
  const client = connect();
  expect(await client.call("double", 1)).toBe(2);
  open.at(-1)?.port1.dispatchEvent(new Event("error"));
  expect(await client.call("double", 2)).toBe(4);
  expect(client.over).toBe(false);
});
