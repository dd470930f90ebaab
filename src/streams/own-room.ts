import type { Room } from "./budget.ts";

/** A room of so many bytes that nobody shares. A request that alone wants more than that has it to itself. */
export function ownRoom(total: number): Room {
  const waiting: { weight: number; resolve: () => void }[] = [];
  let used = 0;

  function admit(weight: number): boolean {
    if (used > 0 && used + weight > total) return false;
    used += weight;
    return true;
  }

  return {
    acquire(weight) {
      if (waiting.length === 0 && admit(weight)) return undefined;
      return new Promise<void>((resolve) => {
        waiting.push({ weight, resolve });
      });
    },
    release(weight) {
      used -= weight;
      while (waiting.length > 0 && admit(waiting[0]!.weight)) waiting.shift()!.resolve();
    },
  };
}
