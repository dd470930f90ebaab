import { nextTask } from "./next-task.ts";

/** Items that all loops of the process deal with in one turn of the event loop, but for those that were not counted yet. */
const ITEMS = 1024;

/** Milliseconds after which a turn ends however few they were. */
const MILLISECONDS = 5;

/** So many items are counted before it is asked whether there may be more: a loop that has fewer is never held up. */
const SLICE = 64;

/** A loop that waits for its turn, and how many items it has had on credit. */
interface Waiting {
  items: number;
  goOn(): void;
}

/** What is left of the turn, who waits for a later one, and since when this one has been running, while anybody counts. */
let left = ITEMS;
const line: Waiting[] = [];
let startedAt: number | undefined;

/** Begins to measure a turn, which ends with the next task. */
function begin(): void {
  startedAt = performance.now();
  nextTask(end);
}

function end(): void {
  left = ITEMS;
  startedAt = undefined;
  if (line.length > 0) begin();
  while (line.length > 0 && left > 0) {
    const { items, goOn } = line.shift()!;
    left -= items;
    goOn();
  }
}

/** Whether so many items fit into this turn. Those who wait already come first. */
function fits(items: number): boolean {
  if (startedAt === undefined) begin();
  if (line.length > 0 || left <= 0 || performance.now() - startedAt! > MILLISECONDS) return false;
  left -= items;
  return true;
}

/**
 * Shares each turn of the event loop among the loops over what peers send, so that none keeps the others, and all else that
 * happens, waiting. Each loop counts its items here, however few come at a time:
 *
 *     while (moreIsThere()) {
 *       if (turns.isOver()) await turns.next;
 *       dealWithOne();
 *     }
 *
 * After about a thousand items, of all loops together, or some milliseconds, they wait in line for a later task. A promise
 * is made only then.
 */
export class Turns {
  #count = 0;
  #next: Promise<void> | undefined;

  /** What is to be waited for before the next item; undefined where the loop may go on. */
  get next(): Promise<void> | undefined {
    return this.#next;
  }

  /**
   * Counts an item that is about to be dealt with, or several where it is as much work as several.
   * @returns whether `next` is to be waited for before that
   */
  isOver(items = 1): boolean {
    this.#count += items;
    return this.#count >= SLICE && this.#isUsedUp();
  }

  #isUsedUp(): boolean {
    if (this.#next) return true;
    const items = this.#count;
    if (fits(items)) {
      this.#count = 0;
      return false;
    }
    this.#next = new Promise((resolve) => {
      const goOn = () => {
        this.#count = 0;
        this.#next = undefined;
        resolve();
      };
      line.push({ items, goOn });
    });
    return true;
  }
}
