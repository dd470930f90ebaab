import { nextTask } from "./next-task.ts";

/** How many items all loops of the process together handle in one turn of the event loop; up to SLICE more for each loop. */
const ITEMS = 1024;

/** After how many milliseconds a turn ends, however few items it had. */
const MILLISECONDS = 5;

/** A loop asks for its share of a turn after every SLICE items. A loop with fewer is never held up. */
const SLICE = 64;

/** A loop that waits for its turn, and the items that it has handled but not yet paid for. */
interface Waiting {
  items: number;
  goOn(): void;
}

/** How many items are left of the turn, which loops wait, and when the turn began; undefined between turns. */
let left = ITEMS;
const line: Waiting[] = [];
let startedAt: number | undefined;

/** Whether several loops waited when the turn began. They then go on in rotation, a slice each, while items are left. */
let isShared = false;
let isServing = false;

/** Begins a turn, which ends with the next task. */
function begin(): void {
  startedAt = performance.now();
  nextTask(end);
}

function end(): void {
  left = ITEMS;
  startedAt = undefined;
  isShared = line.length > 1;
  if (line.length === 0) return;
  begin();
  serve();
}

function isUsedUp(): boolean {
  return left <= 0 || performance.now() - startedAt! > MILLISECONDS;
}

/** Lets the loops that wait now go on. Each comes back after its next slice. */
function serve(): void {
  isServing = false;
  for (let count = line.length; count > 0 && !isUsedUp(); count--) {
    const { items, goOn } = line.shift()!;
    left -= items;
    goOn();
  }
}

/** Takes items from the turn. @returns false if the loop has to wait; then nothing was taken */
function fits(items: number): boolean {
  if (startedAt === undefined) begin();
  if (isShared || line.length > 0 || isUsedUp()) return false;
  left -= items;
  return true;
}

function wait(waiting: Waiting): void {
  line.push(waiting);
  if (!isShared || isServing || left <= 0) return;
  isServing = true;
  queueMicrotask(serve);
}

/**
 * Shares each turn of the event loop among the loops over what peers send, so that no loop holds up the others, or other
 * events. Each loop counts its items, however few come at a time:
 *
 *     while (moreIsThere()) {
 *       if (turns.isOver()) await turns.next;
 *       dealWithOne();
 *     }
 *
 * After about a thousand items of all loops together, or some milliseconds, the loops wait in line for a later task. Only
 * then is a promise made.
 */
export class Turns {
  #count = 0;
  #next: Promise<void> | undefined;

  /** What to await before the next item; undefined if the loop may go on. */
  get next(): Promise<void> | undefined {
    return this.#next;
  }

  /**
   * Counts an item that is about to be handled. One that is much work counts as several.
   * @returns whether `next` must be awaited first
   */
  isOver(items = 1): boolean {
    this.#count += items;
    return this.#count >= SLICE && this.#hasToWait();
  }

  #hasToWait(): boolean {
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
      wait({ items, goOn });
    });
    return true;
  }
}
