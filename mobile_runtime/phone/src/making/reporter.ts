/** Telling the desk how a job goes: not too often, never silent, over the socket or by HTTP. */

import type { Desk } from "../protocol/desk";
import type { Link } from "../protocol/link";
import type { JobEvent, Stage } from "../protocol/messages";

const SHORTEST_PAUSE = 300;
const HEARTBEAT = 4_000;

export class Reporter {
  private last: JobEvent = { stage: "download", fraction: 0, message: "" };
  private sent = 0;
  private readonly told = new Set<Stage>();
  private readonly timer: ReturnType<typeof setInterval>;

  /** `cancelled` is called when the desk says that the job is over. */
  constructor(
    private readonly jobId: string,
    private readonly desk: Desk,
    private readonly link: Pick<Link, "send">,
    private readonly cancelled: () => void,
  ) {
    this.timer = setInterval(() => this.send(), HEARTBEAT);
  }

  /** What happens now; the first word of a stage and the last of it are always sent. */
  tell(stage: Stage, fraction: number | null, message: string): void {
    this.last = { stage, fraction, message: message.slice(0, 500) };
    const first = !this.told.has(stage);
    this.told.add(stage);
    if (first || fraction === 1 || performance.now() - this.sent >= SHORTEST_PAUSE) this.send();
  }

  close(): void {
    clearInterval(this.timer);
  }

  private send(): void {
    this.sent = performance.now();
    const event = this.last;
    if (this.link.send({ type: "event", job_id: this.jobId, ...event })) return;
    // The run goes on without the desk; it hears the next event, or the result.
    this.desk
      .json("POST", `/v1/jobs/${this.jobId}/events`, event)
      .then((answer) => answer.state === "cancelled" && this.cancelled())
      .catch(() => {});
  }
}
