import { giveBack, isLent, lend } from "../../streams/lent.ts";
import type { Piece } from "./pieces.ts";

/**
 * A range that a cache keeps, or waits for. Where the next export has lent its bytes they are given back once the piece is
 * not kept any more, and no read has use of it, or of a part of it that was not given back.
 */
export class CachedPiece implements Piece {
  readonly start: number;
  readonly end: number;
  /** The bytes once they are there; rejects when they could not be had. */
  readonly arrival: Promise<Uint8Array>;
  /** Gives up what nobody waits for. */
  readonly giveUp: AbortController | undefined;
  bytes?: Uint8Array;
  /** When it was read last, as the memory's share tells it. */
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

  /** False when a change, or the need for room, has taken it out: nobody who comes from now on may be given it. */
  get isKept(): boolean {
    return this.#isKept;
  }

  takeOut(): void {
    this.#isKept = false;
    this.#giveBack();
  }

  /** Takes note of what has arrived, before anybody is told. */
  arrived(bytes: Uint8Array): void {
    if (isLent(bytes)) this.#lent = bytes;
    if (this.#isKept) this.bytes = bytes;
    else this.#giveBack();
  }

  /** A read has use of its bytes, until it `leave`s. */
  use(): void {
    this.#users++;
  }

  leave(): void {
    this.#users--;
    this.#giveBack();
  }

  /** A part of its bytes for a read, which thereby leaves: at once, or where they are lent when it gives the part back. */
  leaveWith(part: Uint8Array): Uint8Array {
    if (this.#lent) return lend(part, () => this.leave());
    this.leave();
    return part;
  }

  #giveBack() {
    if (this.#lent && !this.#isKept && this.#users === 0) giveBack(this.#lent);
  }
}
