import type { Dialogue } from "../../streams/negotiate.ts";
import { Option, Reply } from "../constants.ts";
import { type OptionHandler, replyTo, sendOption } from "./option.ts";

/** NBD_OPT_ABORT. The client need not wait for the answer. */
export const abort: OptionHandler = async (_data, handshake) => {
  await replyTo(handshake, Option.ABORT, Reply.ACK).catch(() => {});
  return "abort";
};

/** The client's side: a soft disconnect. It does not wait for the server's answer. */
export function sendAbort(dialogue: Dialogue): Promise<void> {
  return sendOption(dialogue, Option.ABORT);
}
