import { KEY } from "../introduction.ts";

/** What stands in place of each character of a key: the whole is a key still, of zeroes. */
const MASK = "A".charCodeAt(0);

/** A key, and the beginning of one, has no other characters. */
const CHARACTER = /[\w-]/;

/** Masks, in place, the keys that a client gives in an option, or in the beginning of one. Their lengths stay. */
export function maskKeys(bytes: Uint8Array): void {
  const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
  for (let at = text.indexOf(KEY); at >= 0; at = text.indexOf(KEY, at)) {
    at += KEY.length;
    while (CHARACTER.test(text.charAt(at))) bytes[at++] = MASK;
  }
}
