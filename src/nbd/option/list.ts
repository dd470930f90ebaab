import { concat } from "../../streams/payload.ts";
import { Option, Reply } from "../constants.ts";
import { struct, u32 } from "../struct.ts";
import { type OptionHandler, refuse, replyTo } from "./option.ts";

export const ListedExport = struct("NBD_REP_SERVER", (field) => ({ nameLength: field(u32) }));

/** NBD_OPT_LIST: lists the export under its own name. */
export const list: OptionHandler = async (data, handshake) => {
  if (data.byteLength > 0) {
    await refuse(handshake, Option.LIST, Reply.ERR_INVALID, "LIST takes no data");
    return "haggle";
  }
  const name = new TextEncoder().encode(handshake.name);
  const entry = concat([ListedExport.encode({ nameLength: name.byteLength }), name]);
  await replyTo(handshake, Option.LIST, Reply.SERVER, entry);
  await replyTo(handshake, Option.LIST, Reply.ACK);
  return "haggle";
};
