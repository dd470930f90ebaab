import { concat } from "../../streams/payload.ts";
import { Option, Reply } from "../constants.ts";
import { struct, u32 } from "../struct.ts";
import { type OptionHandler, refuse, replyTo } from "./option.ts";

export const ListedExport = struct("NBD_REP_SERVER", (field) => ({ nameLength: field(u32) }));

/** NBD_OPT_LIST: lists the exports under their own names, each with its description behind it. */
export const list: OptionHandler = async (data, handshake) => {
  if (data.byteLength > 0) {
    await refuse(handshake, Option.LIST, Reply.ERR_INVALID, "LIST takes no data");
    return "haggle";
  }
  const text = new TextEncoder();
  for (const { name, description = "" } of handshake.exports) {
    const nameBytes = text.encode(name);
    const header = ListedExport.encode({ nameLength: nameBytes.byteLength });
    const entry = concat([header, nameBytes, text.encode(description)]);
    await replyTo(handshake, Option.LIST, Reply.SERVER, entry);
  }
  await replyTo(handshake, Option.LIST, Reply.ACK);
  return "haggle";
};
