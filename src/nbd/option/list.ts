import type { Dialogue } from "../../streams/negotiate.ts";
import { nameOf, Option, Reply } from "../constants.ts";
import { ProtocolError } from "../error.ts";
import { struct, u32 } from "../struct.ts";
import { decodeName } from "./name.ts";
import { type OptionHandler, refuse, replyTo, sendOption } from "./option.ts";
import { isError, receivedReply, refusal } from "./option-reply.ts";

/** How many exports a server may list. Each takes 16 KiB at most. */
const MAX_EXPORTS = 1 << 12;

export const ListedExport = struct("NBD_REP_SERVER", (field) => ({ nameLength: field(u32) }));

/** NBD_OPT_LIST: lists the exports, each by its name and its description. */
export const list: OptionHandler = async (data, handshake) => {
  if (data.byteLength > 0) {
    await refuse(handshake, Option.LIST, Reply.ERR_INVALID, "LIST takes no data");
    return "haggle";
  }
  const text = new TextEncoder();
  for (const { name, description = "" } of handshake.exports) {
    const nameBytes = text.encode(name);
    const header = ListedExport.encode({ nameLength: nameBytes.byteLength });
    await replyTo(handshake, Option.LIST, Reply.SERVER, header, nameBytes, description);
  }
  await replyTo(handshake, Option.LIST, Reply.ACK);
  return "haggle";
};

/** An export that a server lists. */
export interface ExportName {
  name: string;
  /** The server's description of the export, for people, if it has one. */
  description?: string;
}

/**
 * The client's side: the exports that a server lists.
 * @throws RefusedError if it refuses to list its exports
 * @throws ProtocolError if its answer is invalid, or too long
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
  if (name === undefined)
    throw new ProtocolError("the server listed an export name that is not UTF-8, or too long");
  return { name, ...(description && { description }) };
}
