import type { Dialogue } from "../../streams/negotiate.ts";
import { Option, Reply } from "../constants.ts";
import { agreesTo } from "./agree.ts";
import { type OptionHandler, refuse, replyTo } from "./option.ts";

/** NBD_OPT_EXTENDED_HEADERS. They replace structured replies. */
export const extendedHeaders: OptionHandler = async (data, handshake) => {
  const option = Option.EXTENDED_HEADERS;
  if (data.byteLength > 0) {
    await refuse(handshake, option, Reply.ERR_INVALID, "EXTENDED_HEADERS takes no data");
  } else {
    handshake.headers = "extended";
    await replyTo(handshake, option, Reply.ACK);
  }
  return "haggle";
};

/** The client's side. Resolves to whether requests and replies will have extended headers. */
export function askForExtendedHeaders(dialogue: Dialogue): Promise<boolean> {
  return agreesTo(dialogue, Option.EXTENDED_HEADERS);
}
