import { Option, Reply } from "../constants.ts";
import { type OptionHandler, refuse } from "./option.ts";

/** NBD_OPT_STARTTLS, refused as by a server without TLS (proto.md, "NOTLS mode"). What must be secret goes over wss. */
export const startTls: OptionHandler = async (data, handshake) => {
  if (data.byteLength > 0) {
    await refuse(handshake, Option.STARTTLS, Reply.ERR_INVALID, "STARTTLS takes no data");
  } else {
    await refuse(handshake, Option.STARTTLS, Reply.ERR_UNSUP, "this server has no TLS of its own");
  }
  return "haggle";
};
