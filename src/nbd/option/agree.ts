import type { Dialogue } from "../../streams/negotiate.ts";
import { nameOf, Option, Reply } from "../constants.ts";
import { ProtocolError } from "../error.ts";
import { sendOption } from "./option.ts";
import { isError, receivedReply } from "./option-reply.ts";

/**
 * Sends an option without data, to which a server agrees by NBD_REP_ACK.
 * @returns false if the server refuses, for any reason: the client can do without
 * @throws ProtocolError if it answers anything else
 */
export async function agreesTo(dialogue: Dialogue, option: number): Promise<boolean> {
  await sendOption(dialogue, option);
  const { type } = await dialogue.read(receivedReply(option), `reply to ${nameOf(Option, option)}`);
  if (type === Reply.ACK) return true;
  if (isError(type)) return false;
  throw new ProtocolError(`the server answered ${nameOf(Option, option)} with reply type ${type}`);
}
