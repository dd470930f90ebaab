import type { Room } from "./budget.ts";

/**
 * Counts the items in flight, and holds room for their bytes. An item is in flight from its start until the consumer of its
 * result asks for more: until then the consumer may still hold it.
 */
export class Flight {
  readonly #limit: number;
  readonly #room: Room | undefined;
  #count = 0;
  /** The weights of the items whose results were handed on last. */
  #delivered: readonly number[] = [];
  #wake: (() => void) | undefined;

  /**
   * @param limit how many items may be in flight
   * @param room room for their bytes; default: without limit
   */
  constructor(limit: number, room?: Room) {
    this.#limit = limit;
    this.#room = room;
  }

  get isFull(): boolean {
    return this.#count >= this.#limit;
  }

  /** Resolves when an item has left, or `wake` was called. */
  change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  /** Ends the wait of `change`. */
  wake(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  /** Takes room for the bytes of an item, as `Room.acquire` does. */
  acquire(bytes: number): Promise<void> | undefined {
    return bytes === 0 ? undefined : this.#room?.acquire(bytes);
  }

  /** Gives back the room of an item that was not started. */
  release(bytes: number): void {
    this.#room?.release(bytes);
  }

  /** Counts an item that starts. */
  enter(): void {
    this.#count++;
  }

  /** An item of this weight is not in flight any more. */
  leave(weight: number): void {
    this.#count--;
    this.#room?.release(weight);
    this.wake();
  }

  /** The results of items of these weights have been handed on. */
  delivered(weights: readonly number[]): void {
    this.#delivered = weights;
  }

  /** The consumer is done with what was handed on last. */
  leaveDelivered(): void {
    const weights = this.#delivered;
    this.#delivered = [];
    for (const weight of weights) this.leave(weight);
  }
}
