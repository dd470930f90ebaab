import type { Dialogue } from "../../streams/negotiate.ts";
import { nameOf, Option, Reply } from "../constants.ts";
import { ProtocolError } from "../error.ts";
import { sendOption } from "./option.ts";
import { isError, receivedReply } from "./option-reply.ts";

/**
 * Asks a server for something that it agrees to with NBD_REP_ACK and nothing else.
 * @returns false when it refuses, whatever its reason: the client can do without
 * @throws ProtocolError when it answers something else
 */
export async function agreesTo(dialogue: Dialogue, option: number): Promise<boolean> {
  await sendOption(dialogue, option);
  const { type } = await dialogue.read(receivedReply(option), `reply to ${nameOf(Option, option)}`);
  if (type === Reply.ACK) return true;
  if (isError(type)) return false;
  throw new ProtocolError(`the server answered ${nameOf(Option, option)} with reply type ${type}`);
}
