import { Errno, ExportError } from "../export/error.ts";
import type { Export } from "../export/export.ts";
import { aroundChanges } from "../export/filters/around-changes.ts";

/** An export as one link sees it. */
export interface Fenced {
  readonly target: Export;
  /**
   * Nothing of the link reaches the export from now on: further calls are refused. Reads that are under way go on, as they
   * do no harm.
   * @returns a promise that resolves once the changes that are under way have settled
   */
  end(): Promise<void>;
}

/**
 * Puts a fence around an export for the time of one link. A change of the old link that came through after it was sent again
 * on a new one, and after newer changes there, would undo those. So a link is ended, and waited for, before the first word on
 * the next one.
 */
export function fenced(next: Export): Fenced {
  const changes = new Set<Promise<void>>();
  let isOver = false;

  function call<T>(work: () => Promise<T>): Promise<T> {
    return isOver ? Promise.reject(over()) : work();
  }

  function change(work: () => Promise<void>): Promise<void> {
    if (isOver) return Promise.reject(over());
    const changing = work();
    changes.add(changing);
    const forget = () => changes.delete(changing);
    changing.then(forget, forget);
    return changing;
  }

  const { flush, cache, extents } = next;
  const target: Export = {
    ...aroundChanges(change)(next),
    read: (offset, length, options) => call(() => next.read(offset, length, options)),
    ...(flush && { flush: () => call(() => next.flush!()) }),
    ...(cache && { cache: (offset, length, options) => call(() => next.cache!(offset, length, options)) }),
    ...(extents && {
      extents: (offset, length, options) => call(() => next.extents!(offset, length, options)),
    }),
  };

  return {
    target,
    async end() {
      isOver = true;
      await Promise.allSettled(changes);
    },
  };
}

function over(): ExportError {
  return new ExportError(Errno.ESHUTDOWN, "the link is over");
}
