import type { Dialogue } from "../../streams/negotiate.ts";
import { Option, Reply } from "../constants.ts";
import { agreesTo } from "./agree.ts";
import { type OptionHandler, refuse, replyTo } from "./option.ts";

/** NBD_OPT_STRUCTURED_REPLY. It is refused once extended headers have been negotiated. */
export const structuredReply: OptionHandler = async (data, handshake) => {
  const option = Option.STRUCTURED_REPLY;
  if (data.byteLength > 0) {
    await refuse(handshake, option, Reply.ERR_INVALID, "STRUCTURED_REPLY takes no data");
  } else if (handshake.headers === "extended") {
    await refuse(handshake, option, Reply.ERR_EXT_HEADER_REQD, "extended headers were negotiated already");
  } else {
    handshake.headers = "structured";
    await replyTo(handshake, option, Reply.ACK);
  }
  return "haggle";
};

/** The client's side. Resolves to whether the server will send structured replies. */
export function askForStructuredReplies(dialogue: Dialogue): Promise<boolean> {
  return agreesTo(dialogue, Option.STRUCTURED_REPLY);
}
