/**
 * The engine of the last job, kept for the next one: people press Generate again and again.
 *
 * To start one takes time, and what its memory leaves behind in the tab adds up from start to start. It is kept for
 * a short while alone, since WebAssembly's memory comes back only with the end of its worker.
 */

import { type Engine, type EngineOptions, openEngine } from "../engine";

/** After so long the next press may as well wait for a start. */
export const IDLE_MS = 45_000;
/** A page in the background is the first that a phone ends for its memory. */
export const HIDDEN_MS = 10_000;

export class Engines {
  private idle: { readonly engine: Engine; readonly bundleId: string; readonly key: string } | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly keys = new WeakMap<Engine, { readonly bundleId: string; readonly key: string }>();

  constructor(
    private readonly page: Document,
    window: Window,
  ) {
    page.addEventListener("visibilitychange", () => this.wait());
    window.addEventListener("pagehide", () => this.end());
  }

  /** The kept engine where it was opened for this bundle in this way; else a new one. Throws as `openEngine` does. */
  async take(bundleId: string, options: EngineOptions): Promise<Engine> {
    const { manifest: _, ...way } = options;
    const key = JSON.stringify([bundleId, way]);
    const kept = this.idle;
    if (kept?.key === key && !kept.engine.over) {
      this.idle = null;
      clearTimeout(this.timer);
      return kept.engine;
    }
    this.end();
    const engine = await openEngine(options);
    this.keys.set(engine, { bundleId, key });
    return engine;
  }

  /** Keep an engine whose job is done. One that failed is closed instead: what it can still do nobody knows. */
  keep(engine: Engine): void {
    const known = this.keys.get(engine);
    if (known === undefined || engine.over) return;
    this.end();
    this.idle = { engine, ...known };
    this.wait();
  }

  /** End the kept engine if it is of a bundle that is not among these. */
  only(bundleIds: ReadonlySet<string>): void {
    if (this.idle !== null && !bundleIds.has(this.idle.bundleId)) this.end();
  }

  /** End the kept engine. */
  end(): void {
    clearTimeout(this.timer);
    this.idle?.engine.close();
    this.idle = null;
  }

  private wait(): void {
    clearTimeout(this.timer);
    if (this.idle === null) return;
    const hidden = this.page.visibilityState === "hidden";
    this.timer = setTimeout(() => this.end(), hidden ? HIDDEN_MS : IDLE_MS);
  }
}
