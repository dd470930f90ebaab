import type { Export } from "../export.ts";
import { forward } from "./forward.ts";

/**
 * Makes FUA out of a flush, for an export without FUA: a change with `fua` is made without it, then flushed, and settles when the
 * flush has. The next export is never asked for FUA. Where it has no `flush`, there is nothing to flush.
 */
export function fua(next: Export): Export {
  const { write, trim, writeZeroes, ...rest } = forward(next);

  async function thenFlush(done: Promise<void>): Promise<void> {
    await done;
    await next.flush?.();
  }

  /** A method whose last argument has the option `fua`. */
  function emulated<Range, Options extends { fua?: boolean }>(
    method: (offset: number, range: Range, options?: Options) => Promise<void>,
  ) {
    return (offset: number, range: Range, options?: Options): Promise<void> =>
      options?.fua
        ? thenFlush(method(offset, range, { ...options, fua: false }))
        : method(offset, range, options);
  }

  return {
    ...rest,
    ...(write && { write: emulated(write) }),
    ...(trim && { trim: emulated(trim) }),
    ...(writeZeroes && { writeZeroes: emulated(writeZeroes) }),
  };
}
