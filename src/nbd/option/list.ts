import { concat } from "../../streams/concat.ts";
import type { Dialogue } from "../../streams/negotiate.ts";
import { nameOf, Option, Reply } from "../constants.ts";
import { ProtocolError } from "../error.ts";
import { struct, u32 } from "../struct.ts";
import { decodeName } from "./name.ts";
import { type OptionHandler, refuse, replyTo, sendOption } from "./option.ts";
import { isError, receivedReply, refusal } from "./option-reply.ts";

/** How many exports are taken from a server. Each has 16 KiB of words at most. */
const MAX_EXPORTS = 1 << 12;

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

/** An export that a server lists. */
export interface ExportName {
  name: string;
  /** The server's words for people about the export, where it has some. */
  description?: string;
}

/**
 * The client's side: the exports that a server lists.
 * @throws RefusedError when it lists none to this client
 * @throws ProtocolError when its answer makes no sense, or has no end
 */
export async function askForList(dialogue: Dialogue): Promise<ExportName[]> {
  await sendOption(dialogue, Option.LIST);
  const exports: ExportName[] = [];
  for (;;) {
    const reply = await dialogue.read(receivedReply(Option.LIST), "reply to LIST");
    if (isError(reply.type)) throw refusal("to list its exports", reply);
    if (reply.type === Reply.ACK) return exports;
    if (reply.type !== Reply.SERVER) {
      throw new ProtocolError(`the server answered LIST with ${nameOf(Reply, reply.type)}`);
    }
    if (exports.length === MAX_EXPORTS) {
      throw new ProtocolError(`the server listed more than ${MAX_EXPORTS} exports`);
    }
    exports.push(decodeEntry(reply.data));
  }
}

function decodeEntry(data: Uint8Array): ExportName {
  const { size } = ListedExport;
  const nameLength = data.byteLength < size ? Number.POSITIVE_INFINITY : ListedExport.decode(data).nameLength;
  if (nameLength > data.byteLength - size) {
    throw new ProtocolError(`the server listed an export in ${data.byteLength} bytes, too few for its name`);
  }
  const name = decodeName(data.subarray(size, size + nameLength));
  const description = decodeName(data.subarray(size + nameLength));
  if (name === undefined) throw new ProtocolError("the server listed an export whose name is no name");
  return { name, ...(description && { description }) };
}
