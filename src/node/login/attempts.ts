import { isLoopback } from "../loopback.ts";
import { networkOf } from "../network-of.ts";

/** Wrong tokens that an address may send in this many milliseconds. */
const MOST = 10;
const TIME = 60_000;

/** Addresses that are remembered; beyond that the one that began first is forgotten. */
const ADDRESSES = 4096;

/** Counts the wrong tokens of each address. What is right is never asked here: it always passes. */
export class Attempts {
  readonly #now: () => number;
  readonly #counts = new Map<string, { count: number; since: number }>();

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Takes note of a wrong token. Returns 0, or the seconds after which the address may try again, when it may not now. */
  fail(address: string): number {
    const key = neighbourhood(address);
    const now = this.#now();
    let entry = this.#counts.get(key);
    if (!entry || now - entry.since >= TIME) {
      this.#counts.delete(key);
      entry = { count: 0, since: now };
      this.#counts.set(key, entry);
      if (this.#counts.size > ADDRESSES) this.#counts.delete(this.#counts.keys().next().value!);
    }
    if (entry.count >= MOST) return Math.ceil((entry.since + TIME - now) / 1000);
    entry.count++;
    return 0;
  }
}

/** What one user may have: a network, or all of the loopback interface. */
export function neighbourhood(address: string): string {
  const network = networkOf(address);
  return isLoopback(address.replace(/%.*$/, "")) || isLoopback(network) ? "loopback" : network;
}
