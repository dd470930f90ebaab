import { checkExport } from "../../export/check-export.ts";
import type { Export } from "../../export/export.ts";
import { checkSignal, checkWhole } from "../../streams/check.ts";
import { concurrent } from "../../streams/concurrent.ts";
import type { Layer } from "../../streams/duplex.ts";
import { MAX_PAYLOAD } from "../constants.ts";
import type { Negotiated } from "../transmission.ts";
import { encodeReplies, type ReplyEncoderOptions } from "./reply-encoder.ts";
import {
  answering,
  checkNegotiated,
  checkRequestHandlerOptions,
  ownRoom,
  type RequestHandlerOptions,
} from "./request-handler.ts";
import { requestMessages } from "./request-parser.ts";

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
 * The server's side of the transmission phase as one layer: requests as bytes in, replies as bytes out. It is what
 * a peer without a handshake, a kernel, is given, and does what `requestParser ▸ requestHandler ▸ replyEncoder` do, in one:
 * each pipe between two layers takes as long as answering a short request does.
 */
export function transmission(
  target: Export,
  negotiated: Negotiated,
  allOptions: TransmissionOptions = {},
): Layer<Uint8Array, Uint8Array> {
  checkExport(target);
  checkNegotiated(negotiated);
  checkTransmissionOptions(allOptions);
  const { signal, room = ownRoom(), ...options } = allOptions;
  const [answer, limits] = answering(target, negotiated, { ...options, room });
  return concurrent(answer, {
    ...limits,
    items: requestMessages(negotiated, room),
    emit: encodeReplies(negotiated, options),
    signal,
  });
}
