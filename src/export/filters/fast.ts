import type { Filter } from "../export.ts";
import type { RequestWindow } from "../request-window.ts";
import { cache } from "./cache.ts";
import { Pace, paced } from "./pace.ts";
import { readAhead } from "./read-ahead.ts";

export interface FastOptions {
  /** What the next export can take. Read-ahead leaves room in it for a request that is needed now. */
  window: RequestWindow;
  /** Bytes of memory. Default 24 MiB: half of it in flight are 100 ms at 1 Gbit/s. */
  budget?: number;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

/** Makes an export that is far away fast: read-ahead over a cache over the measurement of the link. */
export function fast({ window, budget = 24 << 20, now = () => performance.now() }: FastOptions): Filter {
  return (next) => {
    const pace = new Pace({ ceiling: Math.min(window.outstanding - window.request, budget / 2), now });
    const ahead = readAhead({ pace, limit: budget / 2, longest: window.request, now });
    return ahead(cache({ budget })(paced(pace)(next)));
  };
}
