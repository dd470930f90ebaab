import { giveBack, isLent, lend } from "../../streams/lent.ts";
import type { Piece } from "./pieces.ts";

/**
 * A range that a cache keeps, or waits for. If the next export has lent the bytes, they are given back when the piece is not
 * kept any more and no read uses it, or a part of it that was lent on.
 */
export class CachedPiece implements Piece {
  readonly start: number;
  readonly end: number;
  /** The bytes once they are there; rejects when they could not be had. */
  readonly arrival: Promise<Uint8Array>;
  /** Gives up the request for it, if no read waits for that. */
  readonly giveUp: AbortController | undefined;
  bytes?: Uint8Array;
  /** When it was last read, a moment of `MemoryShare.now()`. */
  usedAt = 0;
  #isKept = true;
  #lent: Uint8Array | undefined;
  #users = 0;

  constructor(start: number, end: number, arrival: Promise<Uint8Array>, giveUp?: AbortController) {
    this.start = start;
    this.end = end;
    this.arrival = arrival;
    this.giveUp = giveUp;
  }

  /** False once a change, or the need for room, has taken it out: reads that come later may not be given it. */
  get isKept(): boolean {
    return this.#isKept;
  }

  takeOut(): void {
    this.#isKept = false;
    this.#giveBack();
  }

  /** Takes note of the bytes that have arrived. It comes before any read is given them. */
  arrived(bytes: Uint8Array): void {
    if (isLent(bytes)) this.#lent = bytes;
    if (this.#isKept) this.bytes = bytes;
    else this.#giveBack();
  }

  /** A read uses the bytes, until `leave`. */
  use(): void {
    this.#users++;
  }

  leave(): void {
    this.#users--;
    this.#giveBack();
  }

  /** A part of the bytes for a read, which leaves by this: at once, or if they are lent when the part is given back. */
  leaveWith(part: Uint8Array): Uint8Array {
    if (this.#lent) return lend(part, () => this.leave());
    this.leave();
    return part;
  }

  #giveBack() {
    if (this.#lent && !this.#isKept && this.#users === 0) giveBack(this.#lent);
  }
}
