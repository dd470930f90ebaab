import { checkAmount, checkObject } from "../../streams/check.ts";
import type { AsyncDisposable } from "../../streams/disposable.ts";
import type { MemoryBudget } from "../../streams/memory-budget.ts";
import type { Filter, ReadOptions } from "../export.ts";
import type { RequestWindow } from "../request-window.ts";
import { type CacheFollower, ReadCache } from "./cache.ts";
import { type Sample, samplesOf } from "./cache-sample.ts";
import { LinkMeter, metered } from "./link-meter.ts";
import { ReadAhead } from "./read-ahead.ts";

export interface FastOptions {
  /** What the next export can take. Read-ahead leaves room in it for one request that is needed now. */
  window: RequestWindow;
  /** Bytes of memory. Default 24 MiB: half of it may be in flight, which is enough for 1 Gbit/s over 100 ms. */
  budget?: number;
  /** A budget, shared with others, in which these bytes count; see `cache`. */
  memory?: MemoryBudget | undefined;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

/** What `fast` adds to an export. */
export interface FastExport extends AsyncDisposable {
  /** Copies of ranges that it keeps, at most so many. */
  sample(most: number): Sample[];
  /** Reads for which nothing had to be asked of the next export, and the others. */
  readonly hits: number;
  readonly misses: number;
  /** Milliseconds to the other end and back, as measured by reads; undefined before the first one. */
  readonly roundTrip: number | undefined;
}

const BUDGET = 24 << 20;

/** A reader with this many reads in flight keeps a near link busy by itself. */
const DEEP = 4;

/** A reader whose reads have this many bytes, with as many in flight as the link needs, keeps any link busy by itself. */
const LONG = 1 << 16;

/** Reads that it takes to lower the depth by one: answers that come together leave few reads in flight for a moment. */
const PATIENCE = 16;

/**
 * Makes an export that is far away fast: read-ahead over a cache over the measurement of the link.
 *
 * A reader that keeps the link busy by itself gains nothing by either. So its reads go directly to the link, except where
 * the cache has some of the bytes, or has asked for them: no byte is asked for twice. On a near link such reads are not
 * followed either, because that costs more time than they need (test/bench/README.md, "Passing readers").
 */
export function fast(
  { window, memory, now = () => performance.now(), ...options } = {} as FastOptions,
): Filter<FastExport> {
  checkObject(window, "the window");
  checkAmount(window.request, "the longest request of the window, in bytes,", 1);
  checkAmount(window.outstanding, "what may be outstanding in the window, in bytes,", 1);
  checkAmount(options.budget ?? BUDGET, "the budget of fast, in bytes,");
  const budget = Math.min(options.budget ?? BUDGET, memory?.limit ?? Number.POSITIVE_INFINITY);
  return (next) => {
    const meter = new LinkMeter({ ceiling: Math.min(window.outstanding - window.request, budget / 2), now });
    const link = metered(meter)(next);
    const kept = new ReadCache(link, { budget, memory });
    const ahead = new ReadAhead({
      cache: kept,
      meter,
      // If many share the memory, more than a part of it would push out what was read ahead for others, before they read it.
      get limit() {
        return Math.min(budget, memory?.fairPart ?? budget) / 2;
      },
      longest: window.request,
      now,
    });
    const followed = ahead.over(kept.export);
    /** The reads that have not been answered, and their bytes. */
    let reads = 0;
    let bytes = 0;
    /** Reads for which nothing had to be asked, and the others. */
    let hits = 0;
    let misses = 0;
    const count = (isMiss: boolean) => {
      if (isMiss) misses++;
      else hits++;
    };
    const follower = kept.follower;
    kept.follower = {
      expect: (offset, length) => follower?.expect(offset, length),
      read(offset, length, isMiss) {
        count(isMiss);
        follower?.read(offset, length, isMiss);
      },
    };
    const counting: CacheFollower = { expect() {}, read: (_offset, _length, isMiss) => count(isMiss) };
    /** The most reads in flight recently, at most 2 * DEEP. The number at the moment is often too low. */
    let depth = 0;

    /** Decides which way a read goes: directly to the link, through the cache, or through the cache and followed. */
    function route(offset: number, length: number, options: ReadOptions | undefined): Promise<Uint8Array> {
      const isNear = depth >= DEEP && meter.isNear;
      const isLong = length >= LONG && bytes >= meter.target;
      if (!isNear && !isLong) return followed.read(offset, length, options);
      const isThere = kept.has(offset, length);
      const isMiss = !isThere || (!isNear && kept.gaps(offset, offset + length).length > 0);
      if (!isThere) misses++;
      const reading = isThere
        ? kept.read(offset, length, options, counting)
        : link.read(offset, length, options);
      // Where it reads is noted, for the time when it does not keep the link busy any more.
      if (!isNear) ahead.follow(offset, length, isMiss);
      return reading;
    }

    return {
      ...followed,
      sample: (most) => samplesOf(kept, most),
      get hits() {
        return hits;
      },
      get misses() {
        return misses;
      },
      get roundTrip() {
        return meter.roundTrip;
      },
      read(offset, length, options) {
        depth = Math.min(Math.max(reads, depth - 1 / PATIENCE), 2 * DEEP);
        const reading = route(offset, length, options);
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
