/** The caller's ears and hands in one run: progress with the time left, and a way to stop. */

import type { PreviewImage, ProgressEvent } from "../api";
import { Cancelled } from "../errors";

/** How the time of a run usually divides, until it is known better. */
const SHARES: Readonly<Record<string, number>> = {
  encode_text: 3,
  encode_image: 3,
  denoise: 80,
  decode: 13,
  self_test: 1,
};
const LEAST_SHARE = 0.1;
/** How long messages may wait between graphs; each time they are let in leaves garbage of some kilobytes. */
const LET_IN_MS = 20;

interface Op {
  readonly id: string;
  readonly op: string;
}

export class Watch {
  private readonly channel = new MessageChannel();
  private readonly shares: number[];
  private index = 0;
  private started = performance.now();
  private letIn = performance.now();

  /** `expected` are seconds by op of an earlier run. */
  constructor(
    private readonly ops: readonly Op[],
    private readonly signal: AbortSignal,
    private readonly tell: (event: ProgressEvent) => void,
    private readonly expected: Readonly<Record<string, number>> = {},
  ) {
    const known = ops.every((op) => op.id in expected);
    this.shares = ops.map((op) =>
      Math.max(known ? (expected[op.id] as number) : (SHARES[op.op] ?? LEAST_SHARE), 1e-3),
    );
  }

  /** Throw Cancelled when the caller asked for it. */
  check(): void {
    if (this.signal.aborted)
      throw new Cancelled(
        "The run was cancelled before the video was finished; start it again when you like.",
      );
  }

  /** Let messages in where they have waited, then `check`. Called between graphs, so a run stops within one block. */
  readonly pause = async (): Promise<void> => {
    if (performance.now() - this.letIn >= LET_IN_MS) {
      await new Promise<void>((resolve) => {
        this.channel.port1.onmessage = () => resolve();
        this.channel.port2.postMessage(null);
      });
      this.letIn = performance.now();
    }
    this.check();
  };

  /** Ops are told of in their order; this one begins. */
  begin(index: number): void {
    this.index = index;
    this.started = performance.now();
    this.check();
  }

  /** Tell the caller, then see whether it wants to stop. */
  report(step: number, total: number, preview: PreviewImage | null = null): void {
    const op = this.ops[this.index] as Op;
    const part = total ? step / total : 1;
    const sum = (shares: readonly number[]) => shares.reduce((all, share) => all + share, 0);
    const done = sum(this.shares.slice(0, this.index)) + part * (this.shares[this.index] as number);
    this.tell({
      op: op.id,
      kind: op.op,
      step,
      total,
      fraction: Math.min(1, done / sum(this.shares)),
      secondsLeft: this.secondsLeft(op, step, total),
      preview,
    });
    this.check();
  }

  close(): void {
    this.channel.port1.close();
  }

  /** What this op still takes by its own pace, or by an earlier run, and the later ones by an earlier run. */
  private secondsLeft(op: Op, step: number, total: number): number | null {
    const elapsed = (performance.now() - this.started) / 1000;
    const before = this.expected[op.id];
    let own: number | null = null;
    if (step > 0) own = (elapsed / step) * (total - step);
    else if (before !== undefined) own = Math.max(0, before - elapsed);
    if (own === null) return null;
    return this.ops.slice(this.index + 1).reduce((left, later) => left + (this.expected[later.id] ?? 0), own);
  }
}
