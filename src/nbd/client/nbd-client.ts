import type { Transport } from "../../streams/duplex.ts";
import { negotiate } from "../../streams/negotiate.ts";
import { clientHandshake } from "./handshake.ts";
import { HandshakeClock, type HandshakeTimes } from "./handshake-times.ts";
import { RemoteExport } from "./remote-export.ts";

export interface NbdClientOptions {
  /** The export to ask for. Default "", the server's default one. */
  name?: string;
  /** Seconds without an answer after which a request has failed; 0: never. Default 0. */
  timeout?: number;
  /** Default: `timeout` for the greeting and for each reply, and twice as much for the whole. */
  handshakeTimes?: HandshakeTimes;
  /**
   * Called when the server has greeted. It is answered once this has resolved; an error ends the handshake before anything
   * was said to the server.
   */
  onGreeting?(): Promise<void>;
  /** Gives the handshake up. */
  signal?: AbortSignal;
}

/**
 * An NBD client: does the handshake over a transport and returns the server's export. The transport belongs to
 * the export from then on; it is closed when the export is, or when the handshake fails.
 *
 * @throws RefusedError when the server refuses the export
 * @throws LinkError when the server does not answer in time
 * @throws ProtocolError, UnexpectedEndError when what it says is no NBD
 */
export async function nbdClient(transport: Transport, options: NbdClientOptions = {}): Promise<RemoteExport> {
  const { name = "", timeout = 0, signal, onGreeting } = options;
  const times = options.handshakeTimes ?? { greeting: timeout, reply: timeout, whole: 2 * timeout };
  const clock = new HandshakeClock(times, (error) => transport.close(error));
  const giveUp = () => transport.close(signal?.reason);
  signal?.addEventListener("abort", giveUp);
  try {
    signal?.throwIfAborted();
    const { result, rest } = await negotiate(transport, (dialogue) =>
      clientHandshake(clock.over(dialogue), name, onGreeting),
    );
    return new RemoteExport(result, rest, transport, timeout * 1000);
  } catch (error) {
    transport.close(error);
    throw error;
  } finally {
    clock.end();
    signal?.removeEventListener("abort", giveUp);
  }
}
