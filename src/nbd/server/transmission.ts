import type { Export } from "../../export/export.ts";
import type { Layer } from "../../streams/duplex.ts";
import type { Payload } from "../../streams/payload.ts";
import type { Negotiated } from "../transmission.ts";
import { type ReplyEncoderOptions, replyEncoder } from "./reply-encoder.ts";
import { ownRoom, type RequestHandlerOptions, requestHandler } from "./request-handler.ts";
import { requestParser } from "./request-parser.ts";

export interface TransmissionOptions extends RequestHandlerOptions, ReplyEncoderOptions {
  /** Aborted with `Ended`: takes no more requests, answers those it has, then ends. */
  signal?: AbortSignal;
}

/**
 * The server's side of the transmission phase as one layer: requests as bytes in, replies as bytes out. It is
 * `requestParser ▸ requestHandler ▸ replyEncoder`, and what a peer without a handshake, a kernel, is given.
 */
export function transmission(
  target: Export,
  negotiated: Negotiated,
  { signal, room = ownRoom(), ...options }: TransmissionOptions = {},
): Layer<Uint8Array, Payload> {
  const parser = requestParser(negotiated, { room });
  const handler = requestHandler(target, negotiated, { room, ...options });
  return {
    writable: parser.writable,
    readable: parser.readable
      .pipeThrough(handler, signal && { signal })
      .pipeThrough(replyEncoder(negotiated, options)),
  };
}
