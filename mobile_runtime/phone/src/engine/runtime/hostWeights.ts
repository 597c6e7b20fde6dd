/** Weights in memory, which the runtime copies into its heap for the stage that runs. */

import type * as Ort from "onnxruntime-web";
import type { Tensor } from "onnxruntime-web";
import { BundleError } from "../errors";
import { release } from "../numbers/arrays";
import { viewTensor } from "./arrays";
import type { BundleFiles } from "./files";
import type { Meter } from "./meter";
import { type Slot, StreamedWeights } from "./streamedWeights";

export class HostWeights extends StreamedWeights {
  constructor(
    private readonly ort: typeof Ort,
    component: string,
    files: BundleFiles,
    meter: Meter,
    budget: number | null,
  ) {
    super(component, files, meter, budget);
  }

  protected override newSlot(bytes: number): Slot {
    return new HostSlot(this.ort, this.files, this.meter, bytes);
  }

  protected override slotBytes(slots: readonly number[]): number {
    return slots.reduce((sum, bytes) => sum + bytes, 0);
  }

  protected override extraBytes(): number {
    return 0;
  }

  protected override settled(): void {}
}

/** A buffer that files are read into. */
class HostSlot implements Slot {
  private buffer: Promise<ArrayBuffer>;
  private closed = false;

  constructor(
    private readonly ort: typeof Ort,
    private readonly files: BundleFiles,
    private readonly meter: Meter,
    readonly bytes: number,
  ) {
    this.buffer = Promise.resolve(new ArrayBuffer(bytes));
    meter.addHost(bytes);
  }

  get room(): number {
    return this.bytes;
  }

  async load(path: string): Promise<ReadonlyMap<string, Tensor>> {
    const filled = this.buffer.then((buffer) => this.files.readInto(path, buffer));
    // Where reading fails the buffer is gone with the message; the run ends anyway.
    this.buffer = filled.catch(() => new ArrayBuffer(this.bytes));
    const buffer = await filled;
    if (this.closed) throw new BundleError(`${path} was read too late; start the video again.`);
    const layout = await this.files.layout(path);
    return new Map(
      Array.from(layout.tensors, ([name, place]) => [name, viewTensor(this.ort, buffer, place)]),
    );
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    // Where it is still read into, its memory goes when it is back.
    void this.buffer.then((buffer) => release(new Uint8Array(buffer)));
    this.buffer = Promise.reject(new BundleError("The weights were let go; start the video again."));
    this.buffer.catch(() => {});
    this.meter.addHost(-this.bytes);
  }
}
