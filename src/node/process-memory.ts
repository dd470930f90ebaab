import { MemoryBudget } from "../streams/memory-budget.ts";
import { spareMemory } from "../streams/reused-memory.ts";

/** Milliseconds after which what an idle session holds is given back, at the latest. */
const IDLE_TIME = 24_000;

/** The part of a budget that spare memory may have. */
const SPARE_PART = 4;

/** A budget of so many bytes for all that this process keeps because it may be of use again. */
export function processMemory(bytes: number): MemoryBudget {
  return new MemoryBudget(bytes, { idleTime: IDLE_TIME });
}

/**
 * Keeps the spare memory of this process within a budget.
 * @returns ends that, and gives up what is spare then
 */
export function keepSpareMemory(budget: MemoryBudget): () => void {
  return spareMemory.moveTo(budget, budget.limit / SPARE_PART);
}
