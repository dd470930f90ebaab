import { concat } from "../../streams/concat.ts";
import type { Parser } from "../../streams/parse.ts";
import type { Request } from "../messages.ts";

/** What a parsed message means, and how many bytes of data follow it. */
export interface Meaning {
  comment: string;
  data?: number;
}

/** What both sides have said so far, as far as later messages depend on it. */
export interface Session {
  noZeroes: boolean;
  /** The options that wait for their last reply. */
  options: number[];
  requests: Map<bigint, Request>;
}

/** Data longer than this is passed on unread, in bytes. */
export const MAX_DATA = 1 << 12;

/** How many characters of a name or a text are shown. */
const MAX_SHOWN = 200;

/** A message of `size` bytes that begins with `start`. */
export function* whole(start: Uint8Array, size: number): Parser<Uint8Array> {
  return concat([start, yield size - start.byteLength]);
}

/** The first four bytes as a number. */
export function number(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

/** A string from the wire, quoted, on one line. */
export function quote(bytes: Uint8Array): string {
  return text(new TextDecoder().decode(bytes));
}

export function text(words: string): string {
  return JSON.stringify(words.length > MAX_SHOWN ? `${words.slice(0, MAX_SHOWN)}…` : words);
}
