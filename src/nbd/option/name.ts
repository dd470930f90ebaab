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
