/**
 * Weights in buffers of the GPU: a ring of two slots, so that block i + 1 is written while block i runs.
 *
 * One buffer in memory takes what the reader brings; from there it is written to the GPU's queue, which
 * copies it. Writing to a slot is safe although its last block may still run: the queue does one after the
 * other.
 */

import type * as Ort from "onnxruntime-web";
import type { Tensor } from "onnxruntime-web";
import type { TensorPlace } from "../bundle/safetensors";
import { BundleError, PlanError } from "../errors";
import { copyTensor } from "./arrays";
import type { BundleFiles } from "./files";
import type { Meter } from "./meter";
import type { Gpu } from "./runtime";
import { type Slot, StreamedWeights } from "./streamedWeights";

/** Smaller tensors stay in memory: shapes and scalars that the runtime may want to look at. */
const LEAST_GPU_BYTES = 256;
/** A write to the GPU takes whole words, and a buffer whole quadruples of them. */
const WORD = 4;
const ALIGN = 16;
/** The runtime takes no buffer of int8 from others; such weights it brings to the GPU itself, at every run. */
const ON_GPU = new Set(["float32", "float16", "int32", "uint8"]);

export class GpuWeights extends StreamedWeights {
  private readonly staging: Staging;

  constructor(
    private readonly ort: typeof Ort,
    private readonly gpu: Gpu,
    component: string,
    files: BundleFiles,
    meter: Meter,
    budget: number | null,
  ) {
    super(component, files, meter, budget);
    this.staging = new Staging(files, meter);
  }

  override close(): void {
    super.close();
    this.staging.close();
  }

  protected override newSlot(): Slot {
    return new GpuSlot(this.ort, this.gpu, this.files, this.meter, this.staging);
  }

  protected override slotBytes(slots: readonly number[], largest: number): number {
    return slots.reduce((sum, bytes) => sum + bytes, largest);
  }

  protected override extraBytes(): number {
    return this.staging.bytes;
  }

  protected override settled(): void {
    this.staging.close();
  }
}

/** The one buffer that files go through on their way to the GPU, one after the other. */
class Staging {
  private buffer: ArrayBuffer | null = null;
  private last: Promise<unknown> = Promise.resolve();

  constructor(
    private readonly files: BundleFiles,
    private readonly meter: Meter,
  ) {}

  /** What it takes now; it is made again after `close` when it is needed again. */
  get bytes(): number {
    return this.buffer?.byteLength ?? 0;
  }

  /** Read a file and let `use` have its bytes; they are gone when it returns. */
  async read<T>(path: string, use: (buffer: ArrayBuffer) => T): Promise<T> {
    const mine = this.last.then(async () => {
      const room = this.files.size(path) + WORD;
      let buffer = this.buffer;
      this.buffer = null;
      if (buffer === null || buffer.byteLength < room) {
        this.meter.addHost(room - (buffer?.byteLength ?? 0));
        buffer = new ArrayBuffer(room);
      }
      this.buffer = await this.files.readInto(path, buffer);
      return use(this.buffer);
    });
    this.last = mine.catch(() => {});
    return mine;
  }

  close(): void {
    this.meter.addHost(-this.bytes);
    this.buffer = null;
  }
}

class GpuSlot implements Slot {
  /** It takes what the file in it takes. */
  readonly room = Number.POSITIVE_INFINITY;
  private buffers: GPUBuffer[] = [];
  private closed = false;

  constructor(
    private readonly ort: typeof Ort,
    private readonly gpu: Gpu,
    private readonly files: BundleFiles,
    private readonly meter: Meter,
    private readonly staging: Staging,
  ) {}

  get bytes(): number {
    return this.buffers.reduce((sum, buffer) => sum + buffer.size, 0);
  }

  async load(path: string): Promise<ReadonlyMap<string, Tensor>> {
    const layout = await this.files.layout(path);
    return this.staging.read(path, (bytes) => {
      if (this.closed) throw new BundleError(`${path} was read too late; start the video again.`);
      const free = this.buffers;
      this.buffers = [];
      const big = [...layout.tensors].filter(([, place]) => onGpu(place));
      const matched = big.map(([, place]) => take(free, sizeOf(place)));
      // Before new ones are made, so that a slot never takes more than its largest block.
      for (const buffer of free) this.destroy(buffer);
      const tensors = new Map<string, Tensor>();
      big.forEach(([name, place], i) => {
        const buffer = matched[i] ?? this.create(sizeOf(place));
        this.buffers.push(buffer);
        const words = Math.ceil(place.bytes / WORD) * WORD;
        this.gpu.device.queue.writeBuffer(buffer, 0, new Uint8Array(bytes, place.offset, words));
        tensors.set(
          name,
          this.ort.Tensor.fromGpuBuffer(buffer, { dataType: place.type as "float32", dims: place.shape }),
        );
      });
      for (const [name, place] of layout.tensors)
        if (!tensors.has(name)) tensors.set(name, copyTensor(this.ort, bytes, place));
      return tensors;
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const buffer of this.buffers) this.destroy(buffer);
    this.buffers = [];
  }

  private create(size: number): GPUBuffer {
    const limit = this.gpu.device.limits;
    if (size > Math.min(limit.maxBufferSize, limit.maxStorageBufferBindingSize))
      throw new PlanError(
        `A weight of ${Math.ceil(size / 1e6)} MB does not fit this GPU's buffers; make the video on the processor.`,
      );
    this.meter.addGpu(size);
    return this.gpu.device.createBuffer({
      size,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
    });
  }

  private destroy(buffer: GPUBuffer): void {
    this.meter.addGpu(-buffer.size);
    buffer.destroy();
  }
}

function onGpu(place: TensorPlace): boolean {
  return place.bytes >= LEAST_GPU_BYTES && ON_GPU.has(place.type);
}

function sizeOf(place: TensorPlace): number {
  return Math.ceil(place.bytes / ALIGN) * ALIGN;
}

/** A buffer of this size out of a list, if there is one. */
function take(buffers: GPUBuffer[], size: number): GPUBuffer | null {
  const index = buffers.findIndex((buffer) => buffer.size === size);
  return index < 0 ? null : (buffers.splice(index, 1)[0] ?? null);
}
