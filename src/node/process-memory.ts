import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ByteBudget } from "../streams/budget.ts";
import { MemoryBudget } from "../streams/memory-budget.ts";
import { spareMemory } from "../streams/reused-memory.ts";
import { loadKoffi } from "./koffi.ts";

/** Milliseconds after which what was not used is given back, at the latest. */
const IDLE_TIME = 24_000;

/** The part of the budget that spare memory may have. */
const SPARE_PART = 4;

/** Once the process has so many bytes more than are held, beyond what it always had, they are given back to the system. */
const WORTH_IT = 1 << 24;

/** Milliseconds that V8 is given to free what it has found to be garbage, which a thread does. */
const SWEEPING_TIME = 1000;

/**
 * What this process keeps in memory only in case it is needed again, the caches of its sessions and spare memory: it is
 * bounded, and what an idle session holds goes back to the system within half a minute.
 *
 * Dropping it is not enough: V8 may collect no garbage while a process does nothing, and glibc keeps what was freed. Both
 * are asked for it here. Without the package koffi glibc cannot be asked.
 */
export class ProcessMemory {
  /** Where it all counts. */
  readonly kept: MemoryBudget;
  readonly #inFlight: ByteBudget;
  readonly #giveUpSpare: () => void;
  readonly #timer: NodeJS.Timeout;
  #sweeping: NodeJS.Timeout | undefined;
  /** What the process has besides what is held, when nothing can be given back. */
  #base: number;

  /**
   * @param limit the bytes that are kept at most
   * @param inFlight what local clients hold, which is no reason to give anything back
   * @param idleTime milliseconds after which what was not used is given back, at the latest; half of that at the earliest
   */
  constructor(limit: number, inFlight: ByteBudget, idleTime = IDLE_TIME) {
    this.kept = new MemoryBudget(limit);
    this.#inFlight = inFlight;
    this.#giveUpSpare = spareMemory.moveTo(this.kept, limit / SPARE_PART);
    this.#base = this.#rest();
    this.#timer = setInterval(() => this.#giveUpIdle(), idleTime / 2).unref();
  }

  /** Gives up what is spare, and ends the timers. */
  end(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#sweeping);
    this.#giveUpSpare();
  }

  /** What the process has besides what is held. */
  #rest(): number {
    return process.memoryUsage.rss() - this.kept.used - this.#inFlight.used;
  }

  #giveUpIdle() {
    this.kept.giveUpIdle();
    const rest = this.#rest();
    if (rest < this.#base + WORTH_IT || this.#sweeping) return;
    collectGarbage();
    this.#sweeping = setTimeout(() => {
      void this.#trim();
    }, SWEEPING_TIME).unref();
  }

  async #trim() {
    await freeToSystem();
    this.#base = this.#rest();
    this.#sweeping = undefined;
  }
}

let collect: (() => void) | undefined;

/** Collects garbage, by the function that V8 has for tests: Node has no other. */
function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}

let loaded: Promise<() => Promise<void>> | undefined;

/** Has glibc give back to the system what was freed (malloc_trim(3)), in a thread. */
async function freeToSystem(): Promise<void> {
  loaded ??= loadTrim();
  await (await loaded)();
}

async function loadTrim(): Promise<() => Promise<void>> {
  try {
    const koffi = await loadKoffi();
    const trim = koffi.load(null).func("int malloc_trim(size_t pad)");
    return () => new Promise((resolve) => trim.async(0, () => resolve()));
  } catch {
    return async () => {}; // there is no koffi, or another C library
  }
}
