import type { Dialogue } from "../../streams/negotiate.ts";
import type { Parser } from "../../streams/parse.ts";
import { Option } from "../constants.ts";
import { RefusedError } from "../error.ts";
import { ExportNameReply } from "../messages.ts";
import type { Negotiated } from "../transmission.ts";
import { decodeName, isOffered } from "./name.ts";
import { type OptionHandler, sendOption } from "./option.ts";

/** What follows the reply unless both sides said NO_ZEROES. */
export const ZEROES = 124;

/** NBD_OPT_EXPORT_NAME. It knows no error reply: another name ends the session. */
export const exportName: OptionHandler = async (data, { dialogue, negotiated, name, noZeroes }) => {
  const asked = decodeName(data);
  if (asked === undefined || !isOffered(asked, name)) {
    throw new RefusedError(`the client asked for an export that is not offered: "${asked ?? "(not UTF-8)"}"`);
  }
  const reply = new Uint8Array(ExportNameReply.size + (noZeroes ? 0 : ZEROES));
  await dialogue.write(ExportNameReply.encode(negotiated, reply));
  return "transmit";
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
  return {
    ...(await dialogue.read(exportNameReply(noZeroes), "reply to EXPORT_NAME")),
    exportNameOnly: true,
  };
}
