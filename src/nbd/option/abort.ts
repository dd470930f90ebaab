import type { Dialogue } from "../../streams/negotiate.ts";
import { Option, Reply } from "../constants.ts";
import { type OptionHandler, replyTo, sendOption } from "./option.ts";

/** NBD_OPT_ABORT. A client that does not wait for the answer is in its right. */
export const abort: OptionHandler = async (_data, handshake) => {
  await replyTo(handshake, Option.ABORT, Reply.ACK).catch(() => {});
  return "abort";
};

/** The client's side: a soft disconnect. The server's answer is not waited for. */
export function sendAbort(dialogue: Dialogue): Promise<void> {
  return sendOption(dialogue, Option.ABORT);
}
