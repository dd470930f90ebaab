import {
  checkAmount,
  checkOwnTransport,
  checkSignal,
  checkType,
  LONGEST_TIMER,
} from "../../streams/check.ts";
import { type AsyncDisposable, disposable } from "../../streams/disposable.ts";
import type { Transport } from "../../streams/duplex.ts";
import { negotiate } from "../../streams/negotiate.ts";
import { checkName } from "../option/name.ts";
import { clientHandshake } from "./handshake.ts";
import { HandshakeClock, type HandshakeTimes } from "./handshake-times.ts";
import { type RemoteExport, remoteExport } from "./remote-export.ts";

/** The longest time that can be waited for, in seconds. */
const LONGEST = LONGEST_TIMER / 1000;

export interface NbdClientOptions {
  /** The export to ask for. Default "", the server's default one. */
  name?: string;
  /** Seconds without an answer after which a request has failed, at most 2,147,483; 0: never. Default 0. */
  timeout?: number;
  /** Default: `timeout` for the greeting and for each reply, and twice as much for the whole. */
  handshakeTimes?: HandshakeTimes;
  /**
   * Called when the server has greeted. The server is answered once this has resolved; an error ends the handshake before
   * anything was said to the server.
   */
  onGreeting?(): Promise<void>;
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
 * @throws ProtocolError, UnexpectedEndError when what it says is not NBD
 */
export async function nbdClient(
  transport: Transport,
  options: NbdClientOptions = {},
): Promise<RemoteExport & AsyncDisposable> {
  checkOwnTransport(transport, "the transport");
  try {
    checkOptions(options);
  } catch (error) {
    transport.close(error);
    throw error;
  }
  const { name = "", timeout = 0, signal, onGreeting } = options;
  const times = options.handshakeTimes ?? {
    greeting: timeout,
    reply: timeout,
    whole: Math.min(2 * timeout, LONGEST),
  };
  const clock = new HandshakeClock(times, (error) => transport.close(error));
  const giveUp = () => transport.close(signal?.reason);
  signal?.addEventListener("abort", giveUp);
  try {
    signal?.throwIfAborted();
    const { result, rest } = await negotiate(transport, (dialogue) =>
      clientHandshake(
        clock.over(dialogue),
        name,
        onGreeting && (() => clock.whileStopped(() => onGreeting())),
      ),
    );
    return disposable(remoteExport(result, rest, transport, timeout * 1000));
  } catch (error) {
    transport.close(error);
    throw error;
  } finally {
    clock.end();
    signal?.removeEventListener("abort", giveUp);
  }
}

function checkOptions(options: NbdClientOptions): void {
  const { name = "", timeout = 0, handshakeTimes, onGreeting, signal } = options;
  checkName(name, "the name of the export");
  checkAmount(timeout, "timeout, in seconds,", 0, LONGEST);
  for (const [name, time] of Object.entries(handshakeTimes ?? {})) {
    checkAmount(time, `handshakeTimes.${name}, in seconds,`, 0, LONGEST);
  }
  if (onGreeting !== undefined) checkType(onGreeting, "onGreeting", "function");
  checkSignal(signal, "signal");
}
