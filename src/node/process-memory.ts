import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { ByteBudget } from "../streams/budget.ts";
import { MemoryBudget } from "../streams/memory-budget.ts";
import { spareMemory } from "../streams/reused-memory.ts";
import { loadKoffi } from "./koffi.ts";

/** Milliseconds after which what was of no use is given back, at the latest. */
const IDLE_TIME = 24_000;

/** The part of what is kept that spare memory may have. */
const SPARE_PART = 4;

/** So many bytes more than are held, and than there were without that before, are worth having them given back to the system. */
const WORTH_IT = 1 << 24;

/** Milliseconds that V8 is given to free what it has found to be garbage. */
const SWEEPING_TIME = 1000;

/**
 * What a process keeps because it may be of use again, the caches of its sessions and spare memory, as long as it is of
 * use: what an idle session holds goes back to the system within half a minute.
 *
 * Two would keep it otherwise: V8 may collect no garbage in a process that does nothing, and glibc keeps what was freed
 * (without the package koffi it does so still).
 */
export class ProcessMemory {
  /** What is kept is of this budget. */
  readonly kept: MemoryBudget;
  readonly #inFlight: ByteBudget;
  readonly #giveUpSpare: () => void;
  readonly #timer: NodeJS.Timeout;
  #sweeping: NodeJS.Timeout | undefined;
  /** The least that the process ever had besides what was held then. */
  #base: number;

  /**
   * @param limit bytes that are kept at most
   * @param inFlight what else is held
   * @param idleTime milliseconds after which what was of no use is given back, at the latest; at the earliest after half of that
   */
  constructor(limit: number, inFlight: ByteBudget, idleTime = IDLE_TIME) {
    this.kept = new MemoryBudget(limit);
    this.#inFlight = inFlight;
    this.#giveUpSpare = spareMemory.moveTo(this.kept, limit / SPARE_PART);
    this.#base = this.#rest();
    this.#timer = setInterval(() => this.#giveUpIdle(), idleTime / 2).unref();
  }

  /** Gives up what is spare, and ends what is done here. */
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

/** Has V8 collect garbage, by the function that it has for tests: there is no other way to ask for it. */
function collectGarbage(): void {
  if (!collect) {
    setFlagsFromString("--expose-gc");
    collect = runInNewContext("gc") as () => void;
  }
  collect();
}

let loaded: Promise<() => Promise<void>> | undefined;

/** Gives what was freed back to the system, as far as the C library is asked to (malloc_trim(3)); not on the event loop. */
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
    return async () => {}; // without koffi, and with another C library
  }
}
