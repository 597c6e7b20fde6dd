/**
 * Weights within a memory budget, held or streamed; what both kinds of memory have in common.
 *
 * The first two passes of a shape stream everything (the heap of WebAssembly has not found its size before);
 * then files are held while the measured peak leaves room for them. While a stage runs, the next file is on
 * its way into one of two slots.
 */

import type { Tensor } from "onnxruntime-web";
import type { WeightReport } from "../api";
import { BudgetError } from "../errors";
import type { BundleFiles } from "./files";
import { hold } from "./hold";
import { heapBytes, heapStep, type Meter } from "./meter";
import type { WeightStore } from "./weights";

type Named = ReadonlyMap<string, Tensor>;

/** Room for what is not counted, such as graphs and small arrays. */
const SPARE_SHARE = 0.02;
const SPARE_LEAST = 4 * 2 ** 20;
/** Passes that measure before anything is held. */
const MEASURED_PASSES = 2;

/** One of the places that streamed files take turns in. */
export interface Slot {
  /** What it takes now. */
  readonly bytes: number;
  /** The largest file that it can take. */
  readonly room: number;
  /**
   * Bring a file in, after those that were asked for before; its tensors are good until the next file comes.
   */
  load(path: string): Promise<Named>;
  close(): void;
}

/** A file on its way. */
interface Coming {
  readonly path: string;
  readonly slot: Slot;
  readonly tensors: Promise<Named>;
}

export abstract class StreamedWeights implements WeightStore {
  private readonly slots: Slot[] = [];
  private readonly held = new Map<string, Slot>();
  private readonly heldTensors = new Map<string, Named>();
  private chosen: ReadonlySet<string> = new Set();
  private order: string[] = [];
  private key: string | null = null;
  private measured = 0;
  /** The place that the running stage's weights are in. */
  private current: Slot | null = null;
  private ahead: Coming | null = null;
  private passes = 0;
  private runSeconds = 0;
  private running = 0;
  private waited = 0;

  protected constructor(
    protected readonly component: string,
    protected readonly files: BundleFiles,
    protected readonly meter: Meter,
    private readonly budget: number | null,
  ) {}

  /** A place for one file of at most `bytes` at a time, or for `path` alone. */
  protected abstract newSlot(bytes: number): Slot;
  /** What slots take for files of at most these bytes each, where the largest of all files has `largest` bytes. */
  protected abstract slotBytes(slots: readonly number[], largest: number): number;
  /** What is taken beside the slots on the way to them. */
  protected abstract extraBytes(): number;
  /** Everything is held and here: what is only needed on the way may go. */
  protected abstract settled(): void;

  async begin(order: readonly string[], key: string): Promise<void> {
    this.order = [...new Set(order)];
    this.running = 0;
    for (const path of this.order) await this.files.layout(path);
    if (key === this.key) return;
    this.drop();
    this.key = key;
    this.measured = 0;
    const [largest, second] = this.largest();
    if (this.budget === null) {
      this.chosen = new Set(this.order);
      return;
    }
    const before = this.meter.note();
    const least = before + this.slotBytes([largest], largest);
    if (least > this.budget) throw this.tooSmall(least);
    const both = before + this.slotBytes([largest, second], largest) + this.spare();
    const rooms = second > 0 && both <= this.budget ? [largest, second] : [largest];
    this.slots.push(...rooms.map((bytes) => this.newSlot(bytes)));
  }

  async take(path: string): Promise<Named> {
    let tensors = this.heldTensors.get(path);
    if (tensors === undefined) {
      const started = performance.now();
      const coming = this.ahead?.path === path ? this.ahead : this.fetch(path);
      this.ahead = null;
      this.current = coming.slot;
      tensors = await coming.tensors;
      this.waited += (performance.now() - started) / 1000;
      if (this.held.get(path) === coming.slot) this.heldTensors.set(path, tensors);
      if (this.heldTensors.size === this.order.length) this.settled();
    } else {
      this.current = null;
    }
    this.prefetch(path);
    return tensors;
  }

  release(_path: string, seconds: number): void {
    this.running += seconds;
    const now = this.meter.note();
    if (this.budget === null || now <= this.budget) return;
    if (this.held.size === 0) {
      // The second slot only saves time.
      if (this.slots.length > 1) {
        this.dropSlots(1);
        if (this.meter.note() <= this.budget) return;
      }
      throw this.tooSmall(now);
    }
    this.shed(now - this.budget);
  }

  end(): void {
    this.passes++;
    this.runSeconds = this.running;
    this.measured++;
    if (this.budget === null || this.measured !== MEASURED_PASSES) return;
    const sizes = this.order.map((path) => this.files.size(path));
    const [largest] = this.largest();
    const taken = this.slots.reduce((sum, slot) => sum + slot.bytes, this.extraBytes());
    // A heap that is full takes its next step at once.
    const free = this.budget - (this.meter.note() - taken) - Math.max(this.spare(), heapStep());
    const all = sizes.reduce((sum, size) => sum + size, 0);
    const rooms = this.slots.map((slot) => Math.min(slot.room, largest));
    // Where everything fits no file needs a slot.
    const chosen =
      all + this.slotBytes([], largest) <= free
        ? new Set(sizes.keys())
        : hold(sizes, free - this.slotBytes(rooms, largest));
    this.chosen = new Set(this.order.filter((_, index) => chosen.has(index)));
    if (this.chosen.size === this.order.length) this.dropSlots(0);
  }

  report(): WeightReport {
    const bytes = (paths: Iterable<string>) =>
      [...paths].reduce((sum, path) => sum + this.files.size(path), 0);
    const streamed = this.order.filter((path) => !this.chosen.has(path));
    return {
      budgetBytes: this.budget,
      held: this.chosen.size,
      heldBytes: bytes(this.chosen),
      streamed: streamed.length,
      streamedBytes: bytes(streamed),
      passes: this.passes,
      runSeconds: this.runSeconds,
      waitedSeconds: this.waited,
      gpuBytes: this.meter.peakGpuBytes,
      peakBytes: this.meter.peakBytes,
    };
  }

  close(): void {
    this.drop();
    this.key = null;
  }

  /** Begin to bring a file into the place that it belongs to. */
  private fetch(path: string): Coming {
    // At a take the stage before is over: its place may be used again where no other is large enough.
    let slot = this.free(path) ?? this.slots[0];
    if (this.chosen.has(path) || slot === undefined) {
      slot = this.newSlot(this.files.size(path));
      this.held.set(path, slot);
    }
    const tensors = slot.load(path);
    // Told where it is taken; a run that ends before must not end the worker.
    tensors.catch(() => {});
    return { path, slot, tensors };
  }

  /** Set the reader to the next file, where there is a place for it while this one is used. */
  private prefetch(path: string): void {
    if (this.ahead !== null) return;
    const start = this.order.indexOf(path) + 1;
    const next = [...this.order.slice(start), ...this.order.slice(0, start - 1)].find(
      (after) => !this.heldTensors.has(after),
    );
    if (next === undefined) return;
    if (this.chosen.has(next) || this.free(next) !== undefined) this.ahead = this.fetch(next);
  }

  /** A place for a file that no stage uses now. The first place takes every file. */
  private free(path: string): Slot | undefined {
    return this.slots.find((slot) => slot !== this.current && slot.room >= this.files.size(path));
  }

  private dropSlots(keep: number): void {
    const dropped = this.slots.splice(keep);
    for (const slot of dropped) slot.close();
    if (this.ahead !== null && dropped.includes(this.ahead.slot)) this.ahead = null;
  }

  /** Give up held files until `excess` bytes are free: something has grown since the measurement. */
  private shed(excess: number): void {
    let left = excess;
    if (this.slots.length === 0) this.slots.push(this.newSlot(this.largest()[0]));
    for (const [path, slot] of this.held) {
      if (left <= 0) break;
      left -= this.files.size(path);
      slot.close();
      this.held.delete(path);
      this.heldTensors.delete(path);
      this.chosen = new Set([...this.chosen].filter((other) => other !== path));
      if (this.ahead?.path === path) this.ahead = null;
    }
  }

  private drop(): void {
    this.ahead = null;
    this.current = null;
    for (const slot of [...this.slots.splice(0), ...this.held.values()]) slot.close();
    this.held.clear();
    this.heldTensors.clear();
    this.chosen = new Set();
  }

  /** Bytes of the largest file and of the one after it, 0 where there is none. */
  private largest(): [number, number] {
    const [first = 0, second = 0] = this.order
      .map((path) => this.files.size(path))
      .sort((one, other) => other - one);
    return [first, second];
  }

  private spare(): number {
    return Math.max(SPARE_LEAST, (this.budget ?? 0) * SPARE_SHARE);
  }

  private tooSmall(needed: number): BudgetError {
    const megabytes = (bytes: number) => Math.ceil(bytes / 1e6);
    return new BudgetError(
      `The memory budget of ${megabytes(this.budget ?? 0)} MB cannot hold one block of the component` +
        ` '${this.component}' and its activations (the heap alone has ${megabytes(heapBytes())} MB); give at least` +
        ` ${megabytes(needed * 1.05 + SPARE_LEAST)} MB or make a smaller video.`,
    );
  }
}
