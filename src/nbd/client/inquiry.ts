import { checkOwnTransport, checkSignal } from "../../streams/check.ts";
import type { Transport } from "../../streams/duplex.ts";
import { type Dialogue, negotiate } from "../../streams/negotiate.ts";
import { HandshakeFlag, Option } from "../constants.ts";
import { RefusedError } from "../error.ts";
import { sendAbort } from "../option/abort.ts";
import { askFor, type ExportInformation } from "../option/go.ts";
import { askForList, type ExportName } from "../option/list.ts";
import { askForContexts } from "../option/meta-context.ts";
import { checkName } from "../option/name.ts";
import { askForStructuredReplies } from "../option/structured-reply.ts";
import { greet } from "./handshake.ts";

export interface InquiryOptions {
  /** Gives the inquiry up. */
  signal?: AbortSignal;
}

export interface ExportInquiry extends ExportInformation {
  /** The names of the metadata contexts that the server has for the export. */
  contexts: string[];
}

/**
 * Asks a server which exports it has (proto.md, NBD_OPT_LIST), and leaves. The transport is closed at the end.
 * @throws RefusedError when it does not list them
 * @throws ProtocolError, UnexpectedEndError when what it says is not NBD
 */
export function listExports(transport: Transport, options: InquiryOptions = {}): Promise<ExportName[]> {
  return inquire(transport, options, askForList);
}

/**
 * Asks a server about an export (proto.md, NBD_OPT_INFO, NBD_OPT_LIST_META_CONTEXT), and leaves. The transport is closed at
 * the end.
 * @param name the export; "" is the server's default one
 * @throws RefusedError when it has no such export, or does not know the option
 * @throws ProtocolError, UnexpectedEndError when what it says is not NBD
 */
export function inquireExport(
  transport: Transport,
  name = "",
  options: InquiryOptions = {},
): Promise<ExportInquiry> {
  return inquire(transport, options, async (dialogue) => {
    checkName(name, "the name of the export");
    const isStructured = await askForStructuredReplies(dialogue);
    const information = await askFor(dialogue, Option.INFO, name);
    if (!information)
      throw new RefusedError(
        "the server does not support NBD_OPT_INFO, so it cannot be asked about an export",
      );
    return { ...information, contexts: isStructured ? await askForContexts(dialogue, name) : [] };
  });
}

async function inquire<T>(
  transport: Transport,
  { signal }: InquiryOptions,
  ask: (dialogue: Dialogue) => Promise<T>,
): Promise<T> {
  checkOwnTransport(transport, "the transport");
  const giveUp = () => transport.close(signal?.reason);
  try {
    checkSignal(signal, "signal");
    signal?.addEventListener("abort", giveUp);
    signal?.throwIfAborted();
    const { result: answer, rest } = await negotiate(transport, async (dialogue) => {
      if (!((await greet(dialogue)) & HandshakeFlag.FIXED_NEWSTYLE)) {
        throw new RefusedError("the server knows only NBD_OPT_EXPORT_NAME");
      }
      const answer = await ask(dialogue).catch((error) => {
        if (error instanceof RefusedError) return error;
        throw error;
      });
      // A client must not leave without a word (proto.md, "Termination of the session during option haggling").
      await sendAbort(dialogue);
      return answer;
    });
    await rest.writable.close().catch(() => {});
    if (answer instanceof RefusedError) throw answer;
    transport.close();
    return answer;
  } catch (error) {
    transport.close(error);
    throw error;
  } finally {
    signal?.removeEventListener?.("abort", giveUp);
  }
}
