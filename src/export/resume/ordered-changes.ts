import type { Deferred } from "../../streams/deferred.ts";
import { waiting } from "./waiting.ts";

/** A change that has its place among the others. */
export interface Turn {
  /** Resolves when its turn has come. Absent: it has come. */
  readonly wait: Promise<void> | undefined;
}

interface Place extends Turn {
  readonly start: number;
  readonly end: number;
  /** How many changes before it have bytes in common with it. */
  before: number;
  go: Deferred<void> | undefined;
  wait: Promise<void> | undefined;
}

/**
 * The changes that have no answer yet, in the order in which they came. Those that have bytes in common are made one after the
 * other, so that the last one is what remains, however often each of them is sent. All others go their own ways.
 */
export class OrderedChanges {
  readonly #places = new Set<Place>();
  #waiting = 0;

  /** Takes a place behind all that are there. `wait` rejects with the signal's reason; the place is given back then. */
  enter(start: number, end: number, signal: AbortSignal | undefined): Turn {
    const place: Place = { start, end, before: 0, go: undefined, wait: undefined };
    for (const other of this.#places) if (overlap(other, start, end)) place.before++;
    this.#places.add(place);
    if (place.before > 0) {
      this.#waiting++;
      place.go = waiting(signal, () => this.leave(place));
      place.wait = place.go.promise;
    }
    return place;
  }

  /** Gives a place back: the change was answered, or given up. */
  leave(turn: Turn): void {
    const place = turn as Place;
    if (place.before > 0) this.#waiting--;
    if (this.#waiting > 0) this.#letGo(place);
    this.#places.delete(place);
  }

  /** Whether there is a change of any byte of a range. */
  has(start: number, end: number): boolean {
    for (const place of this.#places) if (overlap(place, start, end)) return true;
    return false;
  }

  /** Fails those who wait. */
  fail(reason: unknown): void {
    for (const place of this.#places) {
      if (place.before === 0) continue;
      this.#places.delete(place);
      place.go!.reject(reason);
    }
    this.#waiting = 0;
  }

  /** What waits for a change that goes away. */
  #letGo(gone: Place) {
    let isBehind = false;
    for (const place of this.#places) {
      if (place === gone) isBehind = true;
      else if (isBehind && place.before > 0 && overlap(place, gone.start, gone.end) && --place.before === 0) {
        this.#waiting--;
        place.go!.resolve();
      }
    }
  }
}

function overlap(place: Place, start: number, end: number): boolean {
  return place.start < end && start < place.end;
}
