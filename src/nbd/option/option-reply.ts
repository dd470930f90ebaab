import type { Parser } from "../../streams/parse.ts";
import { quoted } from "../../streams/quoted.ts";
import { nameOf, Option, Reply } from "../constants.ts";
import { ProtocolError, RefusedError } from "../error.ts";
import { OptionReply } from "../messages.ts";

/** The longest reply data that is read, in bytes. Legal data is at most a name and a description of 4,096 bytes each. */
const MAX_REPLY_DATA = 1 << 14;

/** How many bytes of a server's message are decoded; fewer are shown. */
const MAX_WORDS = 1 << 9;

export interface ReceivedReply {
  type: number;
  data: Uint8Array;
}

/**
 * Parses one reply of the server to `option`.
 * @throws ProtocolError if it answers another option, or is longer than any legal reply
 */
export function* receivedReply(option: number): Parser<ReceivedReply> {
  const reply = OptionReply.decode(yield OptionReply.size);
  if (reply.option !== option) {
    throw new ProtocolError(
      `the server answered option ${nameOf(Option, reply.option)}, but ${nameOf(Option, option)} was asked`,
    );
  }
  if (reply.length > MAX_REPLY_DATA) {
    throw new ProtocolError(
      `the server announced ${reply.length} bytes in reply to ${nameOf(Option, option)}`,
    );
  }
  return { type: reply.type, data: yield reply.length };
}

export function isError(type: number): boolean {
  return type >= 0x80000000;
}

/** Makes an error of an error reply, with the server's message. */
export function refusal(what: string, { type, data }: ReceivedReply): RefusedError {
  const words = new TextDecoder().decode(data.subarray(0, MAX_WORDS));
  return new RefusedError(
    `the server refused ${what}: ${nameOf(Reply, type)}${words ? `, ${quoted(words)}` : ""}`,
  );
}
