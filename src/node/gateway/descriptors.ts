import { readFileSync } from "node:fs";
import type { Duplex } from "node:stream";

/** How many file descriptors this process may have, as Linux says it; elsewhere that is not known, and infinite. */
export function descriptorLimit(): number {
  try {
    const [, limit] = /^Max open files\s+(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8")) ?? [];
    return limit ? Number(limit) : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

/**
 * The descriptor of a socket of Node's; 0 where it has none. The system gives the lowest number that is free, so that
 * of a new socket says how many are in use at least.
 */
export function descriptorOf(socket: Duplex): number {
  return (socket as { _handle?: { fd?: number } | null })._handle?.fd ?? 0;
}
