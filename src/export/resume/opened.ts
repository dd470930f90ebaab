import { checkMethods, checkObject, checkType } from "../../streams/check.ts";
import { checkExport } from "../check-export.ts";
import type { Export } from "../export.ts";

/** An export behind a link. */
export interface Opened {
  /** Its calls fail with GoneError, or after `ended` has settled, where the link is gone. Whoever has opened it closes it no more. */
  readonly target: Export;
  /** Settles when the link is over, also after `close` of the target; with an error where it has not ended in order. */
  readonly ended: Promise<void>;
  /**
   * Changes when what was acknowledged and not flushed may be lost, as with each start of the server. Where it is undefined, each
   * link counts as another one.
   */
  readonly incarnation: string | undefined;
}

const METHODS = ["write", "flush", "trim", "writeZeroes", "cache", "extents"] as const;

/** @throws TypeError, RangeError when it is not what it should be */
export function checkOpened(opened: Opened, what: string): void {
  checkObject(opened, what);
  checkExport(opened.target, `the export of ${what}`);
  checkMethods(opened.ended, `the end of ${what}`, "a Promise", ["then"]);
  if (opened.incarnation !== undefined) checkType(opened.incarnation, `the incarnation of ${what}`, "string");
}

/** What the export of a later link lacks of what the first one had, in words; undefined: nothing. */
export function lacks(later: Export, first: Export): string | undefined {
  if (later.size !== first.size) return `it has ${later.size} bytes in place of ${first.size}`;
  const missing = METHODS.find((name) => first[name] && !later[name]);
  if (missing) return `it has no ${missing}()`;
  const { minimum = 1, maximum = Number.POSITIVE_INFINITY } = later.blockSize ?? {};
  const { minimum: minimumBefore = 1, maximum: maximumBefore = maximum } = first.blockSize ?? {};
  if (minimum > minimumBefore) return `its blocks have ${minimum} bytes in place of ${minimumBefore}`;
  if (maximum < maximumBefore) return `its longest request has ${maximum} bytes in place of ${maximumBefore}`;
  return undefined;
}
