/** The phone's line to the desk: a WebSocket while one can be had, long polls where it cannot. */

import { AppError } from "../errors";
import type { Desk } from "./desk";
import { type Job, readJob, record } from "./messages";

const POLL_SECONDS = 25;
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;
const SOCKET_AGAIN_AFTER = 120_000;
const REVOKED = 4401;
// WebSocket.OPEN, which tests in Node have no WebSocket to ask for.
const OPEN = 1;

export type LinkState = "connecting" | "online" | "away" | "revoked";

export interface LinkEvents {
  /** A job to do; the same job may come again after a lost connection. */
  job(job: Job): void;
  cancel(jobId: string): void;
  state(state: LinkState): void;
  /** The desk is there: a good time to tell it how this phone is. */
  hello(): void;
  renamed(name: string): void;
  /** Resolves when this phone works on no job: at once, or at the end of the one it has. */
  idle(): Promise<void>;
}

/** What the link needs of its surroundings; tests give their own clock and sockets. */
export interface LinkParts {
  openSocket(address: string, protocols: string[]): WebSocket;
  pause(milliseconds: number, signal: AbortSignal): Promise<void>;
  now(): number;
}

const browserParts: LinkParts = {
  openSocket: (address, protocols) => new WebSocket(address, protocols),
  pause: (milliseconds, signal) =>
    new Promise((resolve) => {
      const timer = setTimeout(done, milliseconds);
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
      signal.addEventListener("abort", done);
    }),
  now: () => Date.now(),
};

/** Stays connected from `start` to `stop`, however often the desk comes and goes. */
export class Link {
  private stopping: AbortController | null = null;
  private waking = new AbortController();
  private socket: WebSocket | null = null;
  private socketBlockedUntil = 0;

  constructor(
    private readonly desk: Desk,
    private readonly events: LinkEvents,
    private readonly parts: LinkParts = browserParts,
  ) {}

  start(): void {
    if (this.stopping) return;
    this.stopping = new AbortController();
    void this.stayConnected(this.stopping.signal);
  }

  stop(): void {
    this.stopping?.abort();
    this.stopping = null;
    this.waking.abort();
    this.socket?.close();
  }

  /** Try again now: the network or the page came back. */
  wake(): void {
    this.waking.abort();
  }

  /** Send a message over the socket; false where there is none, and the caller asks by HTTP instead. */
  send(message: object): boolean {
    if (this.socket?.readyState !== OPEN) return false;
    this.socket.send(JSON.stringify(message));
    return true;
  }

  private async stayConnected(stop: AbortSignal): Promise<void> {
    let pause = FIRST_PAUSE;
    this.events.state("connecting");
    while (!stop.aborted) {
      try {
        const useSocket = this.parts.now() >= this.socketBlockedUntil;
        if (useSocket && (await this.holdSocket(stop))) {
          pause = FIRST_PAUSE;
          if (!stop.aborted) this.events.state("connecting");
        } else {
          // No socket: a poll tells whether the desk is there at all, and whether it still knows us.
          await this.poll(stop);
          pause = FIRST_PAUSE;
          if (useSocket) this.socketBlockedUntil = this.parts.now() + SOCKET_AGAIN_AFTER;
          continue;
        }
      } catch (error) {
        if (stop.aborted) return;
        if (error instanceof AppError && error.problem === "revoked") {
          this.events.state("revoked");
          this.stop();
          return;
        }
        this.events.state("away");
        this.socketBlockedUntil = 0;
      }
      this.waking = new AbortController();
      await this.parts.pause(pause * (0.75 + Math.random() / 2), AbortSignal.any([stop, this.waking.signal]));
      pause = Math.min(2 * pause, LONGEST_PAUSE);
    }
  }

  /** Hold a socket until it closes; false where it never opened. */
  private holdSocket(stop: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const address = `${this.desk.origin.replace(/^http/, "ws")}/v1/socket`;
      let opened = false;
      let socket: WebSocket;
      try {
        socket = this.parts.openSocket(address, ["pocketvideo.v1", `bearer.${this.desk.token}`]);
      } catch {
        resolve(false);
        return;
      }
      this.socket = socket;
      const close = () => socket.close();
      stop.addEventListener("abort", close);
      socket.onopen = () => {
        opened = true;
      };
      socket.onmessage = (event) => {
        if (!this.hear(socket, event.data)) reject(new AppError("revoked"));
      };
      socket.onclose = (event) => {
        stop.removeEventListener("abort", close);
        if (this.socket === socket) this.socket = null;
        if (event.code === REVOKED) reject(new AppError("revoked"));
        else resolve(opened || stop.aborted);
      };
    });
  }

  /** Act on a message; false where it says that this phone was revoked. What is no known message is passed over. */
  private hear(socket: WebSocket, data: unknown): boolean {
    try {
      const message = record(JSON.parse(String(data)));
      if (message.type === "hello") this.greet(socket);
      else if (message.type === "job") this.events.job(readJob(message));
      else if (message.type === "cancel" && typeof message.job_id === "string")
        this.events.cancel(message.job_id);
      else if (message.type === "renamed" && typeof message.name === "string")
        this.events.renamed(message.name);
      else if (message.type === "revoked") return false;
    } catch (error) {
      if (!(error instanceof SyntaxError || error instanceof AppError)) throw error;
    }
    return true;
  }

  private greet(socket: WebSocket): void {
    this.events.state("online");
    this.events.hello();
    // A job that was brought along from a broken connection goes on first.
    void this.events.idle().then(() => {
      if (socket.readyState === OPEN) socket.send(JSON.stringify({ type: "ready" }));
    });
  }

  private async poll(stop: AbortSignal): Promise<void> {
    await this.desk.request("GET", "/v1/device", { signal: stop });
    this.events.state("online");
    this.events.hello();
    const until = this.parts.now() + SOCKET_AGAIN_AFTER;
    while (!stop.aborted && this.parts.now() < until) {
      await this.events.idle();
      const answer = await this.desk.request("GET", `/v1/jobs/next?wait=${POLL_SECONDS}`, { signal: stop });
      if (answer.status === 200) this.events.job(readJob(await answer.json()));
    }
  }
}
