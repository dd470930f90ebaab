/**
 * The server's side of the transmission phase, as three layers and as one. Each layer is a stream around an object of its
 * own file, and `transmission` puts the same three objects together without the streams between them:
 *
 *     bytes ▸ requestParser ▸ requestHandler ▸ replyEncoder ▸ bytes
 */
import { checkExport } from "../../export/check-export.ts";
import type { Export } from "../../export/export.ts";
import type { Room } from "../../streams/budget.ts";
import { checkMethods, checkSignal, checkWhole } from "../../streams/check.ts";
import { concurrent } from "../../streams/concurrent.ts";
import { ConcurrentLayer } from "../../streams/concurrent-layer.ts";
import type { Layer } from "../../streams/duplex.ts";
import { parseMessages } from "../../streams/parse.ts";
import { transform } from "../../streams/transform.ts";
import { Command, MAX_PAYLOAD } from "../constants.ts";
import type { NbdReply, NbdRequest, Negotiated } from "../transmission.ts";
import { encodeReplies, type ReplyEncoderOptions } from "./reply-encoder.ts";
import {
  answering,
  checkNegotiated,
  checkRequestHandlerOptions,
  defaultRoom,
  EXTENTS_WEIGHT,
  type RequestHandlerOptions,
} from "./request-handler.ts";
import { type RequestOptions, requestMessages } from "./request-parser.ts";

export type { ReplyEncoderOptions, RequestHandlerOptions };

export interface RequestParserOptions {
  /**
   * Room for what the requests hold, in bytes; give `requestHandler` the same, which releases it. A payload is collected, and
   * a request handed on, when there is room for it. Close the share when the client is gone: that gives back what the requests
   * hold that were never dealt with. Default: the handler alone takes room, and a payload is collected before that.
   */
  room?: Room;
}

/**
 * The layer from bytes to requests. It ends after NBD_CMD_DISC, which it hands on too, and fails with
 * ProtocolError at a wrong magic and UnexpectedEndError at an end inside a request.
 */
export function requestParser(
  negotiated: RequestOptions = {},
  { room }: RequestParserOptions = {},
): Layer<Uint8Array, NbdRequest[]> {
  if (!room) return parseMessages(requestMessages(negotiated));
  checkMethods(room, "the room", "a Room", ["acquire", "release"]);
  const maximum = negotiated.blockSize?.maximum ?? MAX_PAYLOAD;
  // With all that it needs, since there may be streams before the handler: a request that has to wait for room there would
  // wait for one that was parsed later, which waits for it to go on.
  return parseMessages(requestMessages(negotiated, room), (request) => {
    const { held = 0 } = request;
    request.held = mayHold(request, maximum);
    return request.held > held ? room.acquire(request.held - held) : undefined;
  });
}

/** What a request holds while it is in flight, in bytes, as far as its parser can tell. */
function mayHold({ type, payload, length }: NbdRequest, maximum: number): number {
  if (payload) return payload.byteLength;
  if (type === Command.BLOCK_STATUS) return EXTENTS_WEIGHT;
  return type === Command.READ && length <= maximum ? length : 0;
}

/**
 * The layer from requests to replies: does each request on the export, several at a time, replies in any order.
 * Whatever a request asks for, it is answered with an errno at worst; the layer itself does not fail.
 */
export function requestHandler(
  target: Export,
  negotiated: Negotiated,
  options: RequestHandlerOptions = {},
): Layer<NbdRequest[], NbdReply[]> {
  checkExport(target);
  checkNegotiated(negotiated);
  checkRequestHandlerOptions(options);
  return concurrent(...answering(target, negotiated, options));
}

/** The layer from replies to bytes. */
export function replyEncoder(
  negotiated: Pick<Negotiated, "headers" | "allocation"> = {},
  options: ReplyEncoderOptions = {},
): Layer<NbdReply[], Uint8Array> {
  const encode = encodeReplies(negotiated, options);
  return transform<NbdReply[], Uint8Array>({
    // What is asked for again has left: the room that the replies took can be given to others.
    lockstep: true,
    transform: (replies, controller) => encode(replies, controller.enqueue),
  });
}

export interface TransmissionOptions extends RequestHandlerOptions, ReplyEncoderOptions {
  /** Aborted with `Ended`: takes no more requests, answers those it has, then ends. */
  signal?: AbortSignal;
}

/** @throws TypeError, RangeError when an option is not what it should be */
export function checkTransmissionOptions({ signal, gatherUpTo, ...options }: TransmissionOptions): void {
  checkRequestHandlerOptions(options);
  checkSignal(signal, "signal");
  if (gatherUpTo !== undefined) checkWhole(gatherUpTo, "gatherUpTo, in bytes,", 0, MAX_PAYLOAD);
}

/**
 * `requestParser ▸ requestHandler ▸ replyEncoder` in one layer, requests as bytes in, replies as bytes out: each pipe between
 * two layers takes as long as answering a short request does. It is what every server here runs, and all that a peer without
 * a handshake, a kernel, is given.
 */
export function transmission(
  target: Export,
  negotiated: Negotiated,
  options: TransmissionOptions = {},
): Layer<Uint8Array, Uint8Array> {
  checkExport(target);
  checkNegotiated(negotiated);
  checkTransmissionOptions(options);
  return transmissionOf(target, negotiated, options);
}

/** `transmission` without checks, for what was checked before. */
export function transmissionOf(
  target: Export,
  negotiated: Negotiated,
  allOptions: TransmissionOptions,
): Layer<Uint8Array, Uint8Array> {
  const { signal, room = defaultRoom(), ...options } = allOptions;
  const [answer, limits] = answering(target, negotiated, { ...options, room });
  return new ConcurrentLayer(answer, {
    ...limits,
    items: requestMessages(negotiated, room),
    emit: encodeReplies(negotiated, options),
    signal,
  });
}
