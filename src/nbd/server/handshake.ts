import { checkMethods } from "../../streams/check.ts";
import type { Dialogue } from "../../streams/negotiate.ts";
import { HandshakeFlag, MAX_STRING, NBD_OPTS_MAGIC, Option, Reply } from "../constants.ts";
import { ProtocolError, RefusedError } from "../error.ts";
import { ClientFlags, Greeting } from "../messages.ts";
import { abort } from "../option/abort.ts";
import { exportName } from "../option/export-name.ts";
import { extendedHeaders } from "../option/extended-headers.ts";
import { go, info } from "../option/go.ts";
import { list } from "../option/list.ts";
import { listMetaContext, setMetaContext } from "../option/meta-context.ts";
import {
  type Chosen,
  checkOffered,
  type HandshakeOptions,
  type OfferedExport,
  type OptionHandler,
  receivedOption,
  refuse,
  type ServerHandshake,
} from "../option/option.ts";
import { startTls } from "../option/start-tls.ts";
import { structuredReply } from "../option/structured-reply.ts";

const handlers = new Map<number, OptionHandler>([
  [Option.EXPORT_NAME, exportName],
  [Option.ABORT, abort],
  [Option.LIST, list],
  [Option.STARTTLS, startTls],
  [Option.INFO, info],
  [Option.GO, go],
  [Option.STRUCTURED_REPLY, structuredReply],
  [Option.LIST_META_CONTEXT, listMetaContext],
  [Option.SET_META_CONTEXT, setMetaContext],
  [Option.EXTENDED_HEADERS, extendedHeaders],
]);

const OFFERED = HandshakeFlag.FIXED_NEWSTYLE | HandshakeFlag.NO_ZEROES;

/**
 * The server's side of the handshake (proto.md, "Fixed newstyle negotiation"). Nothing is asked of the exports
 * but their size and what they can do.
 *
 * @param exports at least one; the first is the default one, which the name "" stands for too
 * @returns the export that the client chose, or undefined when it ended the session with NBD_OPT_ABORT
 * @throws RefusedError when the client asked by EXPORT_NAME for another export
 * @throws ProtocolError, UnexpectedEndError
 */
export async function serverHandshake(
  dialogue: Dialogue,
  exports: readonly OfferedExport[],
  options: HandshakeOptions = {},
): Promise<Chosen | undefined> {
  checkMethods(dialogue, "the dialogue", "a Dialogue", ["read", "write"]);
  checkOffered(exports, true);
  return chooseExport(dialogue, exports, options);
}

/** `serverHandshake` without checks, for what was checked before. */
export async function chooseExport(
  dialogue: Dialogue,
  exports: readonly OfferedExport[],
  options: HandshakeOptions,
): Promise<Chosen | undefined> {
  await dialogue.write(Greeting.encode({ style: NBD_OPTS_MAGIC, flags: OFFERED }));
  const { flags } = await dialogue.read(ClientFlags.parser(), "client flags");
  if (flags & ~OFFERED) throw new ProtocolError(`the client set unknown flags, 0x${flags.toString(16)}`);

  const handshake: ServerHandshake = {
    ...options,
    dialogue,
    exports,
    noZeroes: (flags & HandshakeFlag.NO_ZEROES) !== 0,
    headers: undefined,
    allocationOf: undefined,
  };

  for (;;) {
    const { option, data } = await dialogue.read(receivedOption(), "option");
    if (!data || (option === Option.EXPORT_NAME && data.byteLength > MAX_STRING)) {
      if (option === Option.EXPORT_NAME)
        throw new RefusedError("the client asked for an export name that is too long");
      // Whatever a SET_META_CONTEXT says, what was selected before is no longer.
      if (option === Option.SET_META_CONTEXT) handshake.allocationOf = undefined;
      await refuse(handshake, option, Reply.ERR_TOO_BIG, "the option is too long");
      continue;
    }
    const answer = handlers.get(option);
    if (!answer) {
      await refuse(handshake, option, Reply.ERR_UNSUP, "this server does not know the option");
      continue;
    }
    const outcome = await answer(data, handshake);
    if (outcome === "haggle") continue;
    return outcome === "abort" ? undefined : outcome;
  }
}
