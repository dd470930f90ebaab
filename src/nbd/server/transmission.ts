import type { Export } from "../../export/export.ts";
import { concurrent } from "../../streams/concurrent.ts";
import type { Layer } from "../../streams/duplex.ts";
import type { Payload } from "../../streams/payload.ts";
import type { Negotiated } from "../transmission.ts";
import { encodeReplies, type ReplyEncoderOptions } from "./reply-encoder.ts";
import { answering, ownRoom, type RequestHandlerOptions } from "./request-handler.ts";
import { requestMessages } from "./request-parser.ts";

export interface TransmissionOptions extends RequestHandlerOptions, ReplyEncoderOptions {
  /** Aborted with `Ended`: takes no more requests, answers those it has, then ends. */
  signal?: AbortSignal;
}

/**
 * The server's side of the transmission phase as one layer: requests as bytes in, replies as bytes out. It is what
 * a peer without a handshake, a kernel, is given, and does what `requestParser ▸ requestHandler ▸ replyEncoder` do, in one:
 * each pipe between two layers takes as long as answering a short request does.
 */
export function transmission(
  target: Export,
  negotiated: Negotiated,
  { signal, room = ownRoom(), ...options }: TransmissionOptions = {},
): Layer<Uint8Array, Payload> {
  const [answer, limits] = answering(target, negotiated, { ...options, room });
  return concurrent(answer, {
    ...limits,
    items: requestMessages(negotiated, room),
    emit: encodeReplies(negotiated, options),
    signal,
  });
}
