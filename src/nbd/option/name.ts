import { checkType } from "../../streams/check.ts";
import { MAX_STRING } from "../constants.ts";

/** An export's name, or another string, off the wire; undefined when it is too long or no UTF-8. */
export function decodeName(bytes: Uint8Array): string | undefined {
  if (bytes.byteLength > MAX_STRING) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Checks a name, or another string, that is to go on the wire.
 * @throws TypeError, RangeError when it is not a string, or too long
 */
export function checkName(name: string, what: string): void {
  checkType(name, what, "string");
  const { byteLength } = new TextEncoder().encode(name);
  if (byteLength <= MAX_STRING) return;
  throw new RangeError(`${what} must have at most ${MAX_STRING} bytes, not ${byteLength}`);
}
