import { beginHandshake } from "../../nbd/client/begun-handshake.ts";
import type { RemoteExport } from "../../nbd/client/remote-export.ts";
import type { Transport } from "../../streams/duplex.ts";
import { signOfLife } from "./sign-of-life.ts";

/** Seconds that a server is given to greet, and for each later reply of the handshake; less where `timeout` is less. */
const GREETING_TIME = 5;
const REPLY_TIME = 30;

export interface LinkedExportOptions {
  /** Seconds without an answer after which the link is lost; 0: never. */
  timeout: number;
  /** Seconds of silence after which a sector is read, as a sign of life; 0: never. */
  silence: number;
  /** Gives the handshake up. */
  signal: AbortSignal;
  /** Called when the server has greeted, and waited for before it is answered. */
  onGreeting(): Promise<void>;
}

/**
 * The export at the other end of a link, from the handshake on; the sign of life ends with the link. The transport is closed
 * when the handshake fails.
 * @returns undefined when the signal gave the handshake up
 * @throws RefusedError, LinkError, ProtocolError, what `onGreeting` throws, or the transport's error
 */
export async function linkedExport(
  transport: Transport,
  { timeout, silence, signal, onGreeting }: LinkedExportOptions,
): Promise<RemoteExport | undefined> {
  // Where requests may take for ever, the handshake may not.
  const longest = timeout || Number.POSITIVE_INFINITY;
  const reply = Math.min(REPLY_TIME, longest);
  const handshakeTimes = { greeting: Math.min(GREETING_TIME, longest), reply, whole: 2 * reply };
  try {
    const begun = await beginHandshake(transport, { timeout, handshakeTimes, signal });
    // What happens on this machine takes nothing of the server's time.
    await onGreeting();
    const remote = await begun.finish({ signal });
    if (silence > 0 && remote.size > 0) {
      const endSigns = signOfLife(remote, silence);
      remote.closed.then(endSigns, endSigns);
    }
    return remote;
  } catch (error) {
    transport.close(error);
    if (signal.aborted) return undefined;
    throw error;
  }
}
