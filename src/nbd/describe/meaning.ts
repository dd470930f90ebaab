import { concat } from "../../streams/concat.ts";
import type { Parser } from "../../streams/parse.ts";
import type { Request } from "../messages.ts";

/** A message as its parser leaves it: what it means, and how many bytes of data follow. */
export interface Meaning {
  comment: string;
  data?: number;
}

/** What one side says can only be told from what the other one said. */
export interface Session {
  noZeroes: boolean;
  /** The options that wait for their last reply. */
  options: number[];
  requests: Map<bigint, Request>;
}

/** Payload beyond this is not looked at, in bytes. */
export const MAX_DATA = 1 << 12;

/** Characters of a name or a message that are shown. */
const MAX_SHOWN = 200;

/** A message of `size` bytes whose first ones are there. */
export function* whole(start: Uint8Array, size: number): Parser<Uint8Array> {
  return concat([start, yield size - start.byteLength]);
}

/** The number that four bytes are. */
export function number(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

/** A string off the wire on one line. */
export function quote(bytes: Uint8Array): string {
  return text(new TextDecoder().decode(bytes));
}

export function text(words: string): string {
  return JSON.stringify(words.length > MAX_SHOWN ? `${words.slice(0, MAX_SHOWN)}…` : words);
}
