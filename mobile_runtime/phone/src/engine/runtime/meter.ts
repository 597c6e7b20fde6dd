/** How much memory the engine takes: the heap of WebAssembly, buffers of its own, and weights on the GPU. */

const heaps = new Set<WebAssembly.Memory>();

/**
 * Notice every heap that is made from now on; onnxruntime does not tell of its own. To be called in a worker
 * before the runtime is loaded.
 */
export function watchHeaps(): void {
  const Native = WebAssembly.Memory;
  WebAssembly.Memory = class extends Native {
    constructor(descriptor: WebAssembly.MemoryDescriptor) {
      super(descriptor);
      heaps.add(this);
    }
  };
}

/** Bytes of all heaps; a heap only grows. */
export function heapBytes(): number {
  let sum = 0;
  for (const heap of heaps) sum += heap.buffer.byteLength;
  return sum;
}

/** By how much a heap grows that is full: Emscripten makes it a fifth larger. */
export function heapStep(): number {
  return heapBytes() / 5;
}

export class Meter {
  private host = 0;
  private gpu = 0;
  private highest = 0;
  private highestGpu = 0;

  /** Count buffers that were made (or, negative, let go). */
  addHost(bytes: number): void {
    this.host += bytes;
    this.note();
  }

  addGpu(bytes: number): void {
    this.gpu += bytes;
    this.note();
  }

  get hostBytes(): number {
    return this.host;
  }

  /** What is taken now. */
  note(): number {
    const now = heapBytes() + this.host + this.gpu;
    this.highest = Math.max(this.highest, now);
    this.highestGpu = Math.max(this.highestGpu, this.gpu);
    return now;
  }

  get peakBytes(): number {
    return this.highest;
  }

  get peakGpuBytes(): number {
    return this.highestGpu;
  }
}
