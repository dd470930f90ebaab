import type { LatencySnapshot } from "../../../export/filters/latency.ts";
import { OPERATIONS, type Operation, type OperationSnapshot } from "../../../export/filters/statistics.ts";
import type { Session } from "../../session/session-state.ts";

/** What was counted of one session or of several. */
export interface Figures {
  readonly operations: Readonly<Record<Operation, OperationSnapshot>>;
  /** How many requests have failed, by `COMMAND ERRNO`. */
  readonly failures: ReadonlyMap<string, number>;
  /** Bytes that came over the links, and that went. */
  readonly received: number;
  readonly sent: number;
  /** How often a link was lost. */
  readonly losses: number;
  /** Reads for which nothing had to be asked of the other side, and the others. */
  readonly hits: number;
  readonly misses: number;
}

/** The figures of a session, as they are now. */
export function figuresOf({
  counts,
  failures,
  traffic,
}: Pick<Session, "counts" | "failures" | "traffic">): Figures {
  const { received, sent, losses, hits, misses } = traffic;
  return {
    operations: byOperation((operation) => counts.of(operation).snapshot()),
    failures: new Map(Array.from(failures, ([command, errno, count]) => [`${command} ${errno}`, count])),
    received,
    sent,
    losses,
    hits,
    misses,
  };
}

/** The figures of two together. */
export function sum(one: Figures, other: Figures): Figures {
  const failures = new Map(one.failures);
  for (const [key, count] of other.failures) failures.set(key, (failures.get(key) ?? 0) + count);
  return {
    operations: byOperation((operation) => together(one.operations[operation], other.operations[operation])),
    failures,
    received: one.received + other.received,
    sent: one.sent + other.sent,
    losses: one.losses + other.losses,
    hits: one.hits + other.hits,
    misses: one.misses + other.misses,
  };
}

/** The figures of nothing. */
export const NO_FIGURES: Figures = {
  operations: byOperation(() => ({
    count: 0,
    bytes: 0,
    errors: 0,
    outstanding: 0,
    latency: { sum: 0, buckets: [] },
  })),
  failures: new Map(),
  received: 0,
  sent: 0,
  losses: 0,
  hits: 0,
  misses: 0,
};

function byOperation<T>(make: (operation: Operation) => T): Record<Operation, T> {
  return Object.fromEntries(OPERATIONS.map((operation) => [operation, make(operation)])) as Record<
    Operation,
    T
  >;
}

function together(one: OperationSnapshot, other: OperationSnapshot): OperationSnapshot {
  return {
    count: one.count + other.count,
    bytes: one.bytes + other.bytes,
    errors: one.errors + other.errors,
    outstanding: one.outstanding + other.outstanding,
    latency: added(one.latency, other.latency),
  };
}

function added(one: LatencySnapshot, other: LatencySnapshot): LatencySnapshot {
  const longer = one.buckets.length >= other.buckets.length ? one.buckets : other.buckets;
  const buckets = longer.map((_, i) => (one.buckets[i] ?? 0) + (other.buckets[i] ?? 0));
  return { sum: one.sum + other.sum, buckets };
}
