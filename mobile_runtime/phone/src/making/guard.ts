/**
 * Finding out that a run ended the tab, and trying less the next time.
 *
 * Nothing tells a page that it was killed for memory. So a marker is written before a run and removed after it; one
 * that is found at the start means that the page died in between. A page that a person closed, or that died in the
 * background, is no crash.
 */

import type { Caution } from "./capability";

const RUNNING = "pocketvideo.running";
const CAUTION = "pocketvideo.caution";
const MOST: Caution = 3;

type Shelf = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export class Guard {
  constructor(private readonly shelf: Shelf) {}

  /** Note a crash of the last page, if there was one; whether there was. Call it once at the start. */
  settle(): boolean {
    const crashed = this.shelf.getItem(RUNNING) === "visible";
    this.shelf.removeItem(RUNNING);
    if (crashed) this.beMoreCautious();
    return crashed;
  }

  /** Note that the GPU was taken away in a run; from a page in the background phones take it as they like. */
  gpuLost(page: Pick<Document, "visibilityState">): void {
    if (page.visibilityState === "visible") this.beMoreCautious();
  }

  get caution(): Caution {
    const kept = Number(this.shelf.getItem(CAUTION) ?? 0);
    return kept === 1 || kept === 2 || kept === 3 ? kept : 0;
  }

  /** Be bold again: a person says that it was something else. */
  forget(): void {
    this.shelf.removeItem(CAUTION);
  }

  /** Mark a run; the returned function ends it. */
  enter(page: Document, window: Window): () => void {
    const mark = () => this.shelf.setItem(RUNNING, page.visibilityState);
    const leave = () => this.shelf.removeItem(RUNNING);
    mark();
    page.addEventListener("visibilitychange", mark);
    window.addEventListener("pagehide", leave);
    return () => {
      page.removeEventListener("visibilitychange", mark);
      window.removeEventListener("pagehide", leave);
      leave();
    };
  }

  private beMoreCautious(): void {
    this.shelf.setItem(CAUTION, String(Math.min(this.caution + 1, MOST)));
  }
}
