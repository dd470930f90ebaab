import { checkType } from "../../streams/check.ts";
import type { Parser } from "../../streams/parse.ts";
import { Command, NBD_SIMPLE_REPLY_MAGIC, NBD_STRUCTURED_REPLY_MAGIC } from "../constants.ts";
import { ProtocolError } from "../error.ts";
import { ExtendedReply, SimpleReply, StructuredReply } from "../messages.ts";
import type { NbdReply, NbdRequest, Negotiated } from "../transmission.ts";
import { chunkIntoReply, PartialReply } from "./reply-chunks.ts";

/**
 * Gives the outstanding request with this cookie: what a reply may carry depends on what was asked. A request whose reply
 * has come out is not outstanding any more.
 */
export type RequestOf = (cookie: bigint) => NbdRequest | undefined;

/** What a parser of replies is told of what was negotiated. */
export type ReplyOptions = Pick<Negotiated, "headers" | "allocation">;

/**
 * Parses one simple reply (proto.md, "Simple reply message").
 * @throws ProtocolError at a wrong magic, and at a cookie that no outstanding request has
 */
export function* simpleReply(requestOf: RequestOf): Parser<NbdReply> {
  const { cookie, error } = SimpleReply.decode(yield SimpleReply.size);
  const { type, length } = outstanding(cookie, requestOf);
  if (error !== 0 || type !== Command.READ || length === 0) return { cookie, error };
  return { cookie, error, payload: yield length };
}

/**
 * Makes parsers of replies. A structured or extended reply may come in several chunks, with those of others between them; a
 * parser goes on until one reply is complete.
 *
 * They throw ProtocolError at whatever the specification does not allow: a wrong magic, a cookie that no outstanding request
 * has, a chunk whose length or place does not fit the request, data that is missing or there twice.
 */
export function replyParsers(
  requestOf: RequestOf,
  { headers, allocation }: ReplyOptions = {},
): () => Parser<NbdReply> {
  checkType(requestOf, "what gives the request of a cookie", "function");
  if (!headers) return () => simpleReply(requestOf);
  const partial = new Map<bigint, PartialReply>();

  /** Takes one chunk; gives the reply when it was the last one. */
  function* chunk(header: StructuredReply | ExtendedReply): Parser<NbdReply | undefined> {
    const { cookie } = header;
    const request = outstanding(cookie, requestOf);
    if ("offset" in header && header.offset !== BigInt(request.offset)) {
      throw new ProtocolError(`the server answered another offset than ${request.offset}, which was asked`);
    }
    const reply = partial.get(cookie) ?? new PartialReply(request, allocation);
    const isLast = yield* chunkIntoReply(header, reply, headers === "extended");
    if (!isLast) {
      partial.set(cookie, reply);
      return undefined;
    }
    partial.delete(cookie);
    return reply.complete();
  }

  /** A simple reply where structured ones were negotiated: it must carry no data, and have no chunks before it. */
  function simple(bytes: Uint8Array): NbdReply {
    const { cookie, error } = SimpleReply.decode(bytes);
    const request = outstanding(cookie, requestOf);
    const needsChunks = request.type === Command.READ || request.type === Command.BLOCK_STATUS;
    if (partial.has(cookie) || (error === 0 && needsChunks)) {
      throw new ProtocolError("the server sent a simple reply where a structured one is needed");
    }
    return { cookie, error };
  }

  function* structured(): Parser<NbdReply> {
    for (;;) {
      // A simple reply is shorter by four bytes; whatever comes, that many will.
      const start = yield SimpleReply.size;
      const magic = new DataView(start.buffer, start.byteOffset).getUint32(0);
      if (magic === NBD_SIMPLE_REPLY_MAGIC) return simple(start);
      const bytes = new Uint8Array(StructuredReply.size);
      bytes.set(start);
      // A wrong magic is not waited on for more.
      if (magic === NBD_STRUCTURED_REPLY_MAGIC)
        bytes.set(yield bytes.byteLength - start.byteLength, start.byteLength);
      const reply = yield* chunk(StructuredReply.decode(bytes));
      if (reply) return reply;
    }
  }

  function* extended(): Parser<NbdReply> {
    for (;;) {
      const reply = yield* chunk(ExtendedReply.decode(yield ExtendedReply.size));
      if (reply) return reply;
    }
  }

  return headers === "extended" ? extended : structured;
}

function outstanding(cookie: bigint, requestOf: RequestOf): NbdRequest {
  const request = requestOf(cookie);
  if (request) return request;
  throw new ProtocolError(
    `the server answered a request that is not outstanding, cookie 0x${cookie.toString(16)}`,
  );
}
