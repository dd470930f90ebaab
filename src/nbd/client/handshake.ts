import { checkMethods } from "../../streams/check.ts";
import type { Dialogue } from "../../streams/negotiate.ts";
import { HandshakeFlag, NBD_CLISERV_MAGIC, NBD_OPTS_MAGIC, Option } from "../constants.ts";
import { ProtocolError, RefusedError } from "../error.ts";
import { ClientFlags, Greeting } from "../messages.ts";
import { sendAbort } from "../option/abort.ts";
import { chooseExportName } from "../option/export-name.ts";
import { askForExtendedHeaders } from "../option/extended-headers.ts";
import { askFor, type ExportInformation } from "../option/go.ts";
import { selectAllocation } from "../option/meta-context.ts";
import { checkName } from "../option/name.ts";
import { askForStructuredReplies } from "../option/structured-reply.ts";
import type { Negotiated } from "../transmission.ts";

/**
 * The client's side of the handshake (proto.md, "Newstyle negotiation"). It asks for the best there is, and step by
 * step for less: extended headers, structured replies, simple ones; with either of the first two, for `base:allocation`;
 * then for the export with NBD_OPT_GO, and with NBD_OPT_EXPORT_NAME where the server knows no other option.
 *
 * @param name the export to ask for; "" is the server's default one
 * @throws RefusedError when the server refuses the export
 * @throws ProtocolError, UnexpectedEndError
 */
export async function clientHandshake(dialogue: Dialogue, name: string): Promise<ExportInformation> {
  checkMethods(dialogue, "the dialogue", "a Dialogue", ["read", "write"]);
  checkName(name, "the name of the export");
  const flags = await greet(dialogue);
  return chooseExport(dialogue, name, flags, await agreeOnHeaders(dialogue, flags));
}

/**
 * Takes the server's greeting and answers it.
 * @returns the handshake flags that both know
 * @throws ProtocolError when it is the greeting of no NBD server, or of one that speaks the oldstyle handshake
 */
export async function greet(dialogue: Dialogue): Promise<number> {
  return answerGreeting(dialogue, await takeGreeting(dialogue));
}

/**
 * Takes the server's greeting.
 * @returns the handshake flags that the server has
 * @throws ProtocolError when it is the greeting of no NBD server, or of one that speaks the oldstyle handshake
 */
export async function takeGreeting(dialogue: Dialogue): Promise<number> {
  const greeting = await dialogue.read(Greeting.parser(), "greeting of an NBD server");
  if (greeting.style === NBD_CLISERV_MAGIC) {
    throw new ProtocolError("the server speaks the oldstyle handshake, which went out of use in 2012");
  }
  if (greeting.style !== NBD_OPTS_MAGIC) {
    throw new ProtocolError(`the greeting has the unknown magic 0x${greeting.style.toString(16)}`);
  }
  return greeting.flags;
}

/** Answers the greeting of a server with these flags. Resolves to the handshake flags that both know. */
export async function answerGreeting(dialogue: Dialogue, offered: number): Promise<number> {
  const flags = offered & (HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES);
  await dialogue.write(ClientFlags.encode({ flags }));
  return flags;
}

/**
 * Asks for the best headers that the server has. A refusal is no failure here: what a server refuses for good it will say to GO.
 * @param flags the handshake flags that both know
 */
export async function agreeOnHeaders(dialogue: Dialogue, flags: number): Promise<Negotiated["headers"]> {
  if (!(flags & HandshakeFlag.FIXED_NEWSTYLE)) return undefined;
  if (await askForExtendedHeaders(dialogue)) return "extended";
  return (await askForStructuredReplies(dialogue)) ? "structured" : undefined;
}

/**
 * Ends the handshake: chooses an export.
 * @param flags the handshake flags that both know
 * @throws RefusedError when the server refuses the export
 * @throws ProtocolError
 */
export async function chooseExport(
  dialogue: Dialogue,
  name: string,
  flags: number,
  headers: Negotiated["headers"],
): Promise<ExportInformation> {
  const information = await choose(dialogue, name, flags, headers);
  if (!Number.isSafeInteger(information.size)) {
    throw new ProtocolError("the server announced an export of more than 2^53 bytes");
  }
  return information;
}

async function choose(
  dialogue: Dialogue,
  name: string,
  flags: number,
  headers: Negotiated["headers"],
): Promise<ExportInformation> {
  const noZeroes = (flags & HandshakeFlag.NO_ZEROES) !== 0;
  const byName = () => chooseExportName(dialogue, name, noZeroes);
  if (!(flags & HandshakeFlag.FIXED_NEWSTYLE)) return { ...(await byName()), exportNameOnly: true };

  const allocation = headers && (await selectAllocation(dialogue, name));
  const settled = { ...(headers && { headers }), ...(allocation !== undefined && { allocation }) };
  const told = await goOrAbort(dialogue, name);
  if (told) return { ...told, ...settled };
  if (headers === "extended")
    throw new ProtocolError("the server has extended headers, but does not know GO");
  return headers ? { ...(await byName()), ...settled } : { ...(await byName()), exportNameOnly: true };
}

async function goOrAbort(dialogue: Dialogue, name: string): Promise<ExportInformation | undefined> {
  try {
    return await askFor(dialogue, Option.GO, name);
  } catch (error) {
    // A client must not leave without a word (proto.md, "Termination of the session during option haggling").
    if (error instanceof RefusedError) await sendAbort(dialogue).catch(() => {});
    throw error;
  }
}
