/** What calls back those who wait, when somebody says that a link may be had again. */
export class Wakes {
  readonly #callbacks = new Set<() => void>();

  /** Adds a callback. Returns what takes it away. */
  readonly on = (callback: () => void): (() => void) => {
    this.#callbacks.add(callback);
    return () => void this.#callbacks.delete(callback);
  };

  wake(): void {
    for (const callback of [...this.#callbacks]) callback();
  }
}
