/** Requests to the desk that served this page. The token travels in a header only, never in an address. */

import { AppError } from "../errors";
import { record } from "./messages";

/** The desk answered with an error of its own; `message` is its sentence. */
export class DeskRefused extends Error {
  override readonly name = "DeskRefused";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

/** One desk. Every method raises AppError `desk_away`, `revoked`, or DeskRefused. */
export class Desk {
  constructor(
    readonly origin: string,
    readonly token: string | null = null,
    private readonly fetch: Fetch = (input, init) => globalThis.fetch(input, init),
  ) {}

  /** A request that must succeed; the answer's body is the caller's. */
  async request(method: string, path: string, init: RequestInit = {}): Promise<Response> {
    const headers = new Headers(init.headers);
    if (this.token !== null) headers.set("Authorization", `Bearer ${this.token}`);
    let answer: Response;
    try {
      answer = await this.fetch(this.origin + path, {
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        ...init,
        method,
        headers,
      });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new AppError("desk_away");
    }
    if (answer.ok) return answer;
    throw await refusal(answer, this.token !== null);
  }

  /** A request with a JSON body, answered with a JSON object or with nothing (`{}`). */
  async json(
    method: string,
    path: string,
    body?: unknown,
    init: RequestInit = {},
  ): Promise<Record<string, unknown>> {
    const answer = await this.request(method, path, {
      ...init,
      ...(body === undefined
        ? {}
        : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
    });
    if (answer.status === 204) return {};
    try {
      return record(await answer.json());
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new AppError("bad_answer");
    }
  }
}

async function refusal(answer: Response, paired: boolean): Promise<Error> {
  if (answer.status === 401 && paired) return new AppError("revoked");
  let code = "";
  let message = "";
  try {
    const error = record(record(await answer.json()).error);
    if (typeof error.code === "string") code = error.code.slice(0, 64);
    if (typeof error.message === "string") message = error.message.slice(0, 500);
  } catch {
    // A proxy's or a broken answer: the status says what there is to say.
  }
  return new DeskRefused(answer.status, code, message || `HTTP ${answer.status}`);
}
