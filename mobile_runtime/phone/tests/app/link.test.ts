import { expect, test, vi } from "vitest";
import { Desk } from "../../src/protocol/desk";
import { Link, type LinkEvents, type LinkParts } from "../../src/protocol/link";
import type { Job } from "../../src/protocol/messages";

const JOB = {
  type: "job",
  job_id: "a".repeat(32),
  attempt: 1,
  kind: "install",
  bundle_id: "b".repeat(64),
  name: "quickstart",
  values: {},
};

/** A socket that the test answers for. */
class Wire {
  readyState = 0;
  readonly sent: unknown[] = [];
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number }) => void) | null = null;

  constructor(
    readonly address: string,
    readonly protocols: string[],
  ) {}

  send(text: string): void {
    this.sent.push(JSON.parse(text));
  }

  close(code = 1000): void {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.({ code });
  }

  open(): void {
    this.readyState = 1;
    this.onopen?.();
    this.say({ type: "hello" });
  }

  say(message: unknown): void {
    this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
  }
}

function setUp(
  answer: (path: string) => Response | Promise<Response> = () => Promise.reject(new TypeError()),
) {
  const wires: Wire[] = [];
  const pauses: number[] = [];
  const states: string[] = [];
  const jobs: Job[] = [];
  const cancelled: string[] = [];
  let over: () => void = () => {};
  let idle = Promise.resolve();
  let clock = 0;
  const parts: LinkParts = {
    openSocket: (address, protocols) => {
      const wire = new Wire(address, protocols);
      wires.push(wire);
      return wire as unknown as WebSocket;
    },
    pause: async (milliseconds) => {
      pauses.push(milliseconds);
      clock += milliseconds;
      // A link that nobody answers would try for ever.
      if (pauses.length > 20) await new Promise(() => {});
    },
    now: () => clock,
  };
  const events: LinkEvents = {
    job: (job) => jobs.push(job),
    cancel: (id) => cancelled.push(id),
    state: (state) => states.push(state),
    hello: () => {},
    renamed: () => {},
    idle: () => idle,
  };
  const asked: string[] = [];
  const desk = new Desk("https://desk:8189", "secret", async (address) => {
    const path = address.replace("https://desk:8189", "");
    asked.push(path);
    return answer(path);
  });
  const link = new Link(desk, events, parts);
  return {
    link,
    wires,
    pauses,
    states,
    jobs,
    cancelled,
    asked,
    busy: () => {
      idle = new Promise((resolve) => {
        over = resolve;
      });
    },
    done: () => over(),
    wire: async (index: number) => vi.waitFor(() => wires[index] ?? Promise.reject(new Error("no socket"))),
  };
}

test("T16: the token goes as a sub-protocol and never in the address", async () => {
  const { link, wire } = setUp();
  link.start();
  const first = await wire(0);
  expect(first.address).toBe("wss://desk:8189/v1/socket");
  expect(first.protocols).toEqual(["pocketvideo.v1", "bearer.secret"]);
  link.stop();
});

test("jobs and cancels come over the socket, and what is no message is passed over", async () => {
  const { link, wire, jobs, cancelled, states } = setUp();
  link.start();
  const first = await wire(0);
  first.open();
  await vi.waitFor(() => expect(first.sent).toEqual([{ type: "ready" }]));
  first.say(JOB);
  first.say("no json");
  first.say({ type: "job", job_id: "../../etc" });
  first.say({ type: "something new" });
  first.say({ type: "cancel", job_id: JOB.job_id });
  expect(jobs.map(({ name, kind }) => [name, kind])).toEqual([["quickstart", "install"]]);
  expect(cancelled).toEqual([JOB.job_id]);
  expect(states).toEqual(["connecting", "online"]);
  link.stop();
});

test("a phone in the middle of a job is ready only when that is over", async () => {
  const { link, wire, busy, done } = setUp();
  busy();
  link.start();
  const first = await wire(0);
  first.open();
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(first.sent).toEqual([]);
  done();
  await vi.waitFor(() => expect(first.sent).toEqual([{ type: "ready" }]));
  link.stop();
});

test("a lost line comes back, with growing pauses while the desk is away", async () => {
  const { link, wire, wires, pauses, states } = setUp();
  link.start();
  (await wire(0)).open();
  wires[0]?.close(1006);
  // The desk is gone: sockets do not open, and requests fail.
  for (const index of [1, 2, 3, 4, 5, 6, 7]) (await wire(index)).close(1006);
  const last = await wire(8);
  last.open();
  expect(states).toContain("away");
  expect(states.at(-1)).toBe("online");
  expect(pauses[0]).toBeLessThan(1300);
  expect(pauses[6]).toBeGreaterThan(15_000);
  expect(Math.max(...pauses)).toBeLessThan(38_000);
  link.stop();
});

test("where sockets are blocked, long polls bring the work", async () => {
  let polls = 0;
  const { link, wire, jobs, asked, states } = setUp((path) => {
    if (path === "/v1/device") return Response.json({});
    polls += 1;
    return polls === 1 ? Response.json(JOB) : new Promise<Response>(() => {});
  });
  link.start();
  (await wire(0)).close(1006);
  await vi.waitFor(() => expect(jobs).toHaveLength(1));
  expect(asked.slice(0, 2)).toEqual(["/v1/device", "/v1/jobs/next?wait=25"]);
  expect(states).toContain("online");
  link.stop();
});

test.each(["close", "message"])("T6: a revoked phone stops at once and for good (%s)", async (way) => {
  const { link, wire, wires, states } = setUp();
  link.start();
  const first = await wire(0);
  first.open();
  if (way === "close") first.close(4401);
  else first.say({ type: "revoked" });
  await vi.waitFor(() => expect(states.at(-1)).toBe("revoked"));
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(wires).toHaveLength(1);
});

test("a phone that was revoked while it was away learns it from the desk's 401", async () => {
  const { link, wire, states } = setUp(() =>
    Response.json({ error: { code: "unauthorized", message: "No." } }, { status: 401 }),
  );
  link.start();
  (await wire(0)).close(1006);
  await vi.waitFor(() => expect(states.at(-1)).toBe("revoked"));
});
