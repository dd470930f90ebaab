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

/** What is left of the turn, who waits for more, and since when this turn has been running, while anybody counts. */
let left = ITEMS;
const line: Waiting[] = [];
let startedAt: number | undefined;

/** Several waited when the turn began: they are given some items each, again and again, as long as any are left. */
let isShared = false;
let isServing = false;

/** Begins to measure a turn, which ends with the next task. */
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

/** Whether the turn has nothing left for anybody. */
function isUsedUp(): boolean {
  return left <= 0 || performance.now() - startedAt! > MILLISECONDS;
}

/** Lets those go on who wait now. They come again when they have done what they asked for. */
function serve(): void {
  isServing = false;
  for (let count = line.length; count > 0 && !isUsedUp(); count--) {
    const { items, goOn } = line.shift()!;
    left -= items;
    goOn();
  }
}

/** Whether a loop may go on at once, which has had so many items on credit. */
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
