import type { OperationCounts } from "../../export/filters/statistics.ts";
import { amountOf } from "../log/amount.ts";
import { timeSpan } from "../log/time-span.ts";
import type { Session } from "./session-state.ts";
import type { Traffic } from "./traffic.ts";

/** What is told of a session. */
export interface Summarized {
  /** Whether anybody could use the disk. */
  readonly wasAttached: boolean;
  readonly counts: Pick<Session["counts"], "of">;
  readonly traffic: Pick<Traffic, "losses">;
}

/**
 * What a session was, in words for people: `ended after 4 min, 812 MB in 3,120 reads`; one whose disk was never there has just ended.
 * @param milliseconds how long it was
 * @param how it has ended
 */
export function summaryOf(
  { wasAttached, counts, traffic }: Summarized,
  milliseconds: number,
  how = "ended",
): string {
  if (!wasAttached) return how;
  const { losses } = traffic;
  return [
    `${how} after ${timeSpan(milliseconds)}`,
    transferred(counts.of("read"), "read") ?? "nothing read",
    transferred(counts.of("write"), "write"),
    losses > 0 ? `link lost ${times(losses)}` : undefined,
  ]
    .filter((part) => part !== undefined)
    .join(", ");
}

function transferred({ count, bytes, errors }: OperationCounts, name: string): string | undefined {
  if (count + errors === 0) return undefined;
  const failed = errors > 0 ? ` (${grouped(errors)} failed)` : "";
  return `${amountOf(bytes)} in ${grouped(count)} ${name}${count === 1 ? "" : "s"}${failed}`;
}

const times = (count: number) => (count === 1 ? "once" : `${grouped(count)} times`);

const grouped = (count: number) => count.toLocaleString("en-US");
