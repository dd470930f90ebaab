import { LATENCY_BOUNDS, type LatencySnapshot } from "../../../export/filters/latency.ts";

/**
 * The time within which a part of all calls was over, in seconds: a bound of the histogram, so it is rounded up.
 * @param part for example 0.5 for the median
 * @returns undefined when there was no call, or it is beyond all bounds
 */
export function quantile({ buckets }: LatencySnapshot, part: number): number | undefined {
  const total = buckets.reduce((all, count) => all + count, 0);
  let left = part * total;
  const bucket = buckets.findIndex((count) => {
    left -= count;
    return total > 0 && left <= 0;
  });
  return bucket < 0 ? undefined : LATENCY_BOUNDS[bucket];
}
