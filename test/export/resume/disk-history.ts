/** What a disk may show, by what was asked of it: a memory model with flush semantics. */

/** A change of a range. */
export interface HistoricChange {
  readonly start: number;
  readonly data: Uint8Array;
  /** Whether it was acknowledged, and when. */
  acknowledged: number | undefined;
}

/** All changes of a disk, in the order in which they were asked for. */
export class DiskHistory {
  readonly #changes: HistoricChange[] = [];
  #moment = 0;

  /** A moment, after all before. */
  now(): number {
    return ++this.#moment;
  }

  asked(start: number, data: Uint8Array): HistoricChange {
    const change: HistoricChange = { start, data, acknowledged: undefined };
    this.#changes.push(change);
    return change;
  }

  /**
   * What is wrong with bytes that were found in a range, by somebody who began to look at a moment: each must be that of the
   * last change that was acknowledged before, or of one that was asked for after that one.
   */
  fault(found: Uint8Array, offset: number, since: number): string | undefined {
    for (const [i, value] of found.entries()) {
      const allowed = this.#allowed(offset + i, since);
      if (!allowed.includes(value)) return `byte ${offset + i} is ${value}, and not ${allowed.join(" or ")}`;
    }
    return undefined;
  }

  #allowed(at: number, since: number): number[] {
    let allowed = [0];
    for (const { start, data, acknowledged } of this.#changes) {
      const value = data[at - start];
      if (value === undefined) continue;
      if (acknowledged !== undefined && acknowledged < since) allowed = [];
      allowed.push(value);
    }
    return allowed;
  }
}
