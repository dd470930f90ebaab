import type { Export } from "./export/export.ts";
import { checkServing, type NbdServerOptions, serveExports } from "./nbd/server/nbd-server.ts";
import { deadline } from "./streams/deadline.ts";
import type { Transport } from "./streams/duplex.ts";
import { Ended } from "./streams/ended.ts";
import { UnexpectedEndError } from "./streams/parse.ts";

/** Milliseconds that a client is given to take the replies to what it has asked for. */
const GOODBYE_TIME = 500;

export type ServeOptions = Omit<NbdServerOptions, "isSingle">;

/**
 * Serves an export over a transport until the client ends, or until `signal` is aborted for any reason. Then what is
 * outstanding is answered, and the connection closed after half a second at the latest. A transport that is still connecting,
 * and a client that has not chosen the export yet, are not waited for. The export is not closed.
 *
 * @throws Error when the client left before it had read anything, without a word of the protocol: its place was in use, or the
 *   device could not be attached
 * @throws TypeError, RangeError when an argument is not what it should be; all that `serveClient` throws
 */
export async function serve(transport: Transport, target: Export, options: ServeOptions = {}): Promise<void> {
  checkServing(transport, target, options);
  await serveUnchecked(transport, target, options);
}

/** `serve` without checks, for what is known to be right. */
export async function serveUnchecked(
  transport: Transport,
  target: Export,
  { signal, onTransmission, onFirstRequest, onDisconnect, ...options }: ServeOptions,
): Promise<void> {
  const ending = new AbortController();
  const late = () => transport.close(new Ended("the time to answer is over"));
  let serving = false;
  let isUsed = false;
  let callOff: (() => void) | undefined;

  function end() {
    if (serving) callOff = deadline(GOODBYE_TIME, late);
    else late();
    ending.abort(new Ended("the server was asked to end"));
  }

  function note(callback?: () => void) {
    isUsed = true;
    callback?.();
  }

  try {
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
    await serveExports(transport, [{ ...options, name: options.name ?? "", target }], {
      ...options,
      // Behind a WebSocket or a pipe there is one client, and no way for it to connect once more.
      isSingle: true,
      signal: ending.signal,
      onTransmission(negotiated) {
        serving = true;
        onTransmission?.(negotiated);
      },
      onFirstRequest: () => note(onFirstRequest),
      onDisconnect: () => note(onDisconnect),
    });
    if (serving && !isUsed && !signal?.aborted) throw leftWithoutReading();
  } catch (error) {
    transport.close(error);
    // An end that was asked for is not a failure, whatever else went on.
    if (!signal?.aborted)
      throw error instanceof UnexpectedEndError && !isUsed ? leftWithoutReading(error) : error;
  } finally {
    callOff?.();
    signal?.removeEventListener("abort", end);
  }
}

function leftWithoutReading(cause?: UnexpectedEndError): Error {
  return new Error("the other side left without reading; its log says why", { cause });
}
