import { checkAmount, checkObject } from "../../streams/check.ts";
import type { MemoryBudget } from "../../streams/memory-budget.ts";
import type { Filter } from "../export.ts";
import type { RequestWindow } from "../request-window.ts";
import { cache } from "./cache.ts";
import { forward } from "./forward.ts";
import { Pace, paced } from "./pace.ts";
import { readAhead } from "./read-ahead.ts";

export interface FastOptions {
  /** What the next export can take. Read-ahead leaves room in it for a request that is needed now. */
  window: RequestWindow;
  /** Bytes of memory. Default 24 MiB: half of it in flight are 100 ms at 1 Gbit/s. */
  budget?: number;
  /** A budget, shared with others, in which these bytes count; see `cache`. */
  memory?: MemoryBudget | undefined;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

const BUDGET = 24 << 20;

/** A reader with so many reads in flight keeps a near link busy itself, as one with this many bytes does any link. */
const DEEP = 4;
const LONG = 1 << 16;

/** Reads that it takes for one less in flight to be believed: answers that come together leave few for a moment. */
const PATIENCE = 16;

/**
 * Makes an export that is far away fast: read-ahead over a cache over the measurement of the link.
 *
 * For a reader who keeps the link busy itself nothing is kept, and nothing asked for ahead: it gains nothing by that. On a
 * near link no account is kept of it either: that, and the copies, took a third of the random reads of 4 KiB.
 */
export function fast(
  { window, memory, now = () => performance.now(), ...options } = {} as FastOptions,
): Filter {
  checkObject(window, "the window");
  checkAmount(window.request, "the longest request of the window, in bytes,", 1);
  checkAmount(window.outstanding, "what may be outstanding in the window, in bytes,", 1);
  checkAmount(options.budget ?? BUDGET, "the budget of fast, in bytes,");
  const budget = Math.min(options.budget ?? BUDGET, memory?.limit ?? Number.POSITIVE_INFINITY);
  return (next) => {
    const pace = new Pace({ ceiling: Math.min(window.outstanding - window.request, budget / 2), now });
    /** What readers wait for, by whichever way. */
    let reads = 0;
    let bytes = 0;
    /** The most reads in flight of late, as far as it matters. By those of the moment a quarter of a deep reader's were kept. */
    let depth = 0;
    const isNear = () => depth >= DEEP && pace.isNear;
    const isLong = (length: number) => length >= LONG && bytes >= pace.target;
    const ahead = readAhead({
      pace,
      // If many share the memory, more than a part of it would push out what was read ahead for others, before they read it.
      get limit() {
        return Math.min(budget, memory?.fairPart ?? budget) / 2;
      },
      longest: window.request,
      isPassing: isLong,
      now,
    });
    const isPassing = (length: number) => isNear() || isLong(length);
    const cached = cache({ budget, memory, isPassing })(paced(pace)(next));
    const followed = ahead(cached);
    return {
      ...forward(followed),
      read(offset, length, options) {
        depth = Math.min(Math.max(reads, depth - 1 / PATIENCE), 2 * DEEP);
        const reading = (isNear() ? cached : followed).read(offset, length, options);
        reads++;
        bytes += length;
        const over = () => {
          reads--;
          bytes -= length;
        };
        reading.then(over, over);
        return reading;
      },
    };
  };
}
