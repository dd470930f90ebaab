import { checkAmount, checkOwnTransport, checkSignal, LONGEST_TIMER } from "../../streams/check.ts";
import type { Transport } from "../../streams/duplex.ts";
import { negotiate } from "../../streams/negotiate.ts";
import { LinkError } from "../error.ts";
import { checkName } from "../option/name.ts";
import { clientHandshake } from "./handshake.ts";
import { RemoteExport } from "./remote-export.ts";

export interface NbdClientOptions {
  /** The export to ask for. Default "", the server's default one. */
  name?: string;
  /** Seconds without an answer after which the handshake, or a request, has failed, at most 2,147,483; 0: never. Default 0. */
  timeout?: number;
  /** Gives the handshake up. */
  signal?: AbortSignal;
}

/**
 * An NBD client: does the handshake over a transport and returns the server's export. The transport belongs to
 * the export from then on; it is closed when the export is, or when the handshake fails.
 *
 * @throws TypeError, RangeError when an argument is not what it should be; what was passed in place of a transport is ended
 * @throws RefusedError when the server refuses the export
 * @throws LinkError when the server does not answer in time
 * @throws ProtocolError, UnexpectedEndError when what it says is no NBD
 */
export async function nbdClient(transport: Transport, options: NbdClientOptions = {}): Promise<RemoteExport> {
  checkOwnTransport(transport, "the transport");
  try {
    checkOptions(options);
  } catch (error) {
    transport.close(error);
    throw error;
  }
  const { name = "", timeout = 0, signal } = options;
  const milliseconds = timeout * 1000;
  const giveUp = () => transport.close(signal?.reason);
  const timer = milliseconds
    ? setTimeout(
        () => transport.close(new LinkError(`the server did not answer for ${timeout} s`)),
        milliseconds,
      )
    : undefined;
  signal?.addEventListener("abort", giveUp);
  try {
    signal?.throwIfAborted();
    const { result, rest } = await negotiate(transport, (dialogue) => clientHandshake(dialogue, name));
    return new RemoteExport(result, rest, transport, milliseconds);
  } catch (error) {
    transport.close(error);
    throw error;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}

function checkOptions({ name = "", timeout = 0, signal }: NbdClientOptions): void {
  checkName(name, "the name of the export");
  checkAmount(timeout, "timeout, in seconds,", 0, LONGEST_TIMER / 1000);
  checkSignal(signal, "signal");
}
