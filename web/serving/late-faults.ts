import type { Export } from "../../src/export/export.ts";
import { forward } from "../../src/export/filters/forward.ts";

/** Milliseconds within which a page that is left has ended its Worker. */
const LATE = 500;

/**
 * Says only after a while that a read has failed. A page that is left takes its file away before its Worker ends: what is asked for
 * then would be answered with an error, where over a lost link it is answered later, by the page that comes back.
 */
export function lateFaults(next: Export): Export {
  return {
    ...forward(next),
    async read(...args) {
      try {
        return await next.read(...args);
      } catch (error) {
        await new Promise((resolve) => setTimeout(resolve, LATE));
        throw error;
      }
    },
  };
}
