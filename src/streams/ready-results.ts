/** Results wait for more if recent deliveries held this many in the mean. With fewer, waiting costs more than it gains. */
const SEVERAL = 2.5;
/** How many deliveries the mean is over. */
const RECENT = 8;
/** A result of this weight, in bytes, does not wait: few of them fit into a chunk. */
const HEAVY = 1 << 15;

interface Ready<Result> {
  result: Result;
  weight: number;
}

/** The results of one chunk, and how much each weighs, in bytes. */
export interface ResultsOfChunk<Result> {
  results: Result[];
  weights: number[];
}

/** Results that are ready and not yet handed on. It decides how long they wait for others, and how many make a chunk. */
export class ReadyResults<Result> {
  readonly #ready: Ready<Result>[] = [];
  readonly #chunkWeight: number;
  readonly #later: ((callback: () => void) => void) | undefined;
  readonly #onDelivery: () => void;
  #isScheduled = false;
  /** How many results recent deliveries held in the mean. */
  #together = 1;

  /**
   * @param chunkWeight the most that the results of a chunk weigh together, in bytes; one result may weigh more
   * @param deliver called some time after `deliverSoon`
   * @param later see `ConcurrentOptions`
   */
  constructor(chunkWeight: number, deliver: () => void, later?: (callback: () => void) => void) {
    this.#chunkWeight = chunkWeight;
    this.#later = later;
    this.#onDelivery = () => {
      this.#isScheduled = false;
      this.#together += (this.#ready.length - this.#together) / RECENT;
      deliver();
    };
  }

  get length(): number {
    return this.#ready.length;
  }

  push(result: Result, weight: number): void {
    this.#ready.push({ result, weight });
  }

  /** Calls `deliver` when all that is settled by now has come, so that it makes one chunk, and one message on the wire. */
  deliverSoon(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    const first = this.#ready[0];
    const isWorthIt = this.#together >= SEVERAL && first !== undefined && first.weight < HEAVY;
    const soon = this.#later && isWorthIt ? this.#later : queueMicrotask;
    soon(this.#onDelivery);
  }

  /** Takes the results of the next chunk, at least one. */
  takeChunk(): ResultsOfChunk<Result> {
    const results: Result[] = [];
    const weights: number[] = [];
    let bytes = 0;
    do {
      const { result, weight } = this.#ready.shift()!;
      results.push(result);
      weights.push(weight);
      bytes += weight;
    } while (this.#ready.length > 0 && bytes + this.#ready[0]!.weight <= this.#chunkWeight);
    return { results, weights };
  }

  /** Drops all results. @returns their weights */
  clear(): number[] {
    return this.#ready.splice(0).map(({ weight }) => weight);
  }
}
