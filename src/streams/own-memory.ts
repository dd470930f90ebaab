import type { Keeper, MemoryShare } from "./memory-budget.ts";

/** The share of a keeper that has so many bytes for itself: nobody else makes it give something up. */
export function ownMemory(keeper: Keeper, limit: number): MemoryShare {
  let used = 0;
  let uses = 0;
  let isClosed = false;
  return {
    now: () => ++uses,
    take(bytes) {
      if (isClosed || bytes > limit) return false;
      while (used + bytes > limit && keeper.oldest < Number.POSITIVE_INFINITY) keeper.giveUpOldest();
      if (used + bytes > limit) return false;
      used += bytes;
      return true;
    },
    release(bytes) {
      if (!isClosed) used -= bytes;
    },
    close() {
      isClosed = true;
    },
  };
}
