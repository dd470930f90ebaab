import type { Export } from "../export.ts";
import { forward } from "./forward.ts";

/**
 * Makes an export read-only: no call that changes anything reaches the next one. Without changes there is nothing to flush, so
 * `flush` is left out too.
 */
export function readOnly(next: Export): Export {
  const { write, flush, trim, writeZeroes, ...rest } = forward(next);
  return rest;
}
