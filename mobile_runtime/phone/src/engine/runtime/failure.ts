/** What may break while others wait for something else. */

/**
 * A failure that may come at any time; it ends every wait `over` which it is watched.
 *
 * `Promise.race` with a promise that is never settled would do the same, and keep every result for as long.
 */
export class Failure {
  private error: Error | null = null;
  private readonly ends = new Set<(error: Error) => void>();

  /** It has come. Only the first counts. */
  tell(error: Error): void {
    if (this.error !== null) return;
    this.error = error;
    for (const end of this.ends) end(error);
    this.ends.clear();
  }

  /** What the work gives; rejects with the failure where that is there already or comes first. */
  over<T>(work: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.error !== null) reject(this.error);
      else this.ends.add(reject);
      work.then(resolve, reject).finally(() => this.ends.delete(reject));
    });
  }
}
