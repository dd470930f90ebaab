import type { Layer } from "../../streams/duplex.ts";
import { type Parser, parse } from "../../streams/parse.ts";
import { ProtocolError } from "../error.ts";
import { SimpleReply } from "../messages.ts";
import type { NbdReply } from "../transmission.ts";

/**
 * Tells how many bytes of data a successful reply with this cookie carries: the length of the READ that it
 * answers, 0 for other requests, undefined when no such request is outstanding. A simple reply does not say.
 */
export type ReplyLength = (cookie: bigint) => number | undefined;

/**
 * Parses one simple reply (proto.md, "Simple reply message").
 * @throws ProtocolError at a wrong magic, and at a cookie that no outstanding request has
 */
export function* reply(lengthOf: ReplyLength): Parser<NbdReply> {
  const { cookie, error } = SimpleReply.decode(yield SimpleReply.size);
  const length = lengthOf(cookie);
  if (length === undefined) {
    throw new ProtocolError(
      `the server answered a request that is not outstanding, cookie 0x${cookie.toString(16)}`,
    );
  }
  if (error !== 0 || length === 0) return { cookie, error };
  return { cookie, error, payload: yield length };
}

/** The layer from bytes to replies. */
export function replyParser(lengthOf: ReplyLength): Layer<Uint8Array, NbdReply[]> {
  return parse(() => reply(lengthOf), { name: "reply" });
}
