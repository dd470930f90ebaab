import { type AsyncDisposable, disposable } from "../../streams/disposable.ts";
import { checkExport } from "../check-export.ts";
import type { Export } from "../export.ts";

/**
 * An export that passes everything on to `next`. A filter spreads it and overrides some methods.
 * @throws TypeError, RangeError when `next` is not an export that can be served
 */
export function forward(next: Export): Export & AsyncDisposable {
  checkExport(next);
  return passedOn(next);
}

/** `forward` without checks, for an export that was checked before. */
export function passedOn(next: Export): Export & AsyncDisposable {
  const { size, blockSize } = next;
  return disposable<Export>({
    size,
    ...(blockSize && { blockSize }),
    read: (offset, length, options) => next.read(offset, length, options),
    ...(next.write && { write: (offset, data, options) => next.write!(offset, data, options) }),
    ...(next.trim && { trim: (offset, length, options) => next.trim!(offset, length, options) }),
    ...(next.writeZeroes && {
      writeZeroes: (offset, length, options) => next.writeZeroes!(offset, length, options),
    }),
    ...(next.cache && { cache: (offset, length, options) => next.cache!(offset, length, options) }),
    ...(next.extents && { extents: (offset, length, options) => next.extents!(offset, length, options) }),
    ...(next.knownExtents && { knownExtents: (offset, length) => next.knownExtents!(offset, length) }),
    ...(next.flush && { flush: () => next.flush!() }),
    close: () => next.close(),
  });
}
