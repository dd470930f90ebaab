import type { Dialogue } from "../../streams/negotiate.ts";
import type { Parser } from "../../streams/parse.ts";
import { quoted } from "../../streams/quoted.ts";
import { Option } from "../constants.ts";
import { RefusedError } from "../error.ts";
import { ExportNameReply } from "../messages.ts";
import type { Negotiated } from "../transmission.ts";
import { decodeName } from "./name.ts";
import { chosen, findExport, type OptionHandler, sendOption } from "./option.ts";

/** How many zeroes follow the reply, unless both sides set NO_ZEROES. */
export const ZEROES = 124;

/** NBD_OPT_EXPORT_NAME. It has no error reply: an unknown name ends the session, and so do extended headers. */
export const exportName: OptionHandler = async (data, handshake) => {
  const name = decodeName(data);
  const offered = findExport(handshake, name);
  if (!offered) {
    throw new RefusedError(
      `the client asked for an export that is not offered: ${quoted(name ?? "(not UTF-8)")}`,
    );
  }
  if (handshake.headers === "extended") {
    throw new RefusedError("the client asked with EXPORT_NAME after it had negotiated extended headers");
  }
  const choice = chosen(handshake, offered, name);
  const reply = new Uint8Array(ExportNameReply.size + (handshake.noZeroes ? 0 : ZEROES));
  await handshake.dialogue.write(ExportNameReply.encode(choice.negotiated, reply));
  return choice;
};

function* exportNameReply(noZeroes: boolean): Parser<ExportNameReply> {
  const reply = ExportNameReply.decode(yield ExportNameReply.size);
  if (!noZeroes) yield ZEROES;
  return reply;
}

/** The client's side: asks for the export called `name`. A server that has no such export ends the session. */
export async function chooseExportName(
  dialogue: Dialogue,
  name: string,
  noZeroes: boolean,
): Promise<Negotiated> {
  await sendOption(dialogue, Option.EXPORT_NAME, new TextEncoder().encode(name));
  return dialogue.read(exportNameReply(noZeroes), "reply to EXPORT_NAME");
}
