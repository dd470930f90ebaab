import { checkType } from "../../streams/check.ts";
import { MAX_STRING } from "../constants.ts";

/** Decodes an export's name, or another string, from the wire. Undefined if it is too long or not UTF-8. */
export function decodeName(bytes: Uint8Array): string | undefined {
  if (bytes.byteLength > MAX_STRING) return undefined;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/**
 * Checks a name, or another string, before it is sent.
 * @throws TypeError, RangeError if it is not a string, or too long
 */
export function checkName(name: string, what: string): void {
  checkType(name, what, "string");
  const { byteLength } = new TextEncoder().encode(name);
  if (byteLength <= MAX_STRING) return;
  throw new RangeError(`${what} must have at most ${MAX_STRING} bytes, not ${byteLength}`);
}
