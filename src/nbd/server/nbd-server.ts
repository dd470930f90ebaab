import type { Export } from "../../export/export.ts";
import type { Layer } from "../../streams/duplex.ts";
import { Ended } from "../../streams/ended.ts";
import { join } from "../../streams/join.ts";
import { negotiate } from "../../streams/negotiate.ts";
import { duplexPair, type PairEnd } from "../../streams/pair.ts";
import type { Payload } from "../../streams/payload.ts";
import type { OfferedExport } from "../option/option.ts";
import type { Negotiated } from "../transmission.ts";
import { serverHandshake } from "./handshake.ts";
import { type TransmissionOptions, transmission } from "./transmission.ts";

export interface NbdServerOptions extends TransmissionOptions {
  /** The export's name. Clients may ask for it, or for "". Default "". */
  name?: string;
  /** Words for people about the export. */
  description?: string;
  /** Whether the transport leads to one client only, so that CAN_MULTI_CONN is not offered. Default false. */
  isSingle?: boolean;
  /** Called when a client has chosen the export and the transmission phase begins. */
  onTransmission?(negotiated: Negotiated): void;
}

/**
 * An NBD server as one layer: what the client says in, what the server says out. One layer serves one client;
 * the export may be shared by many, and is not closed.
 *
 *     await join(transport, nbdServer(blobExport(file)))
 *
 * Several exports have names, and perhaps descriptions, of their own; the first is the default one, which clients
 * get who ask for "".
 *
 * Clean ends, after NBD_CMD_DISC, NBD_OPT_ABORT or an end of the client's stream between two messages, close the
 * readable; a client that breaks the protocol fails it with ProtocolError or UnexpectedEndError.
 */
export function nbdServer(
  target: Export | readonly OfferedExport[],
  options: NbdServerOptions = {},
): Layer<Uint8Array, Payload> {
  const { name = "", description } = options;
  const exports =
    "read" in target ? [{ name, ...(description !== undefined && { description }), target }] : target;
  if (exports.length === 0) throw new RangeError("a server needs an export");
  const [outside, inside] = duplexPair<Uint8Array, Payload>({ lockstep: true });
  serve(inside, exports, options).catch((error) => inside.close(error));
  return outside;
}

async function serve(
  client: PairEnd<Uint8Array, Payload>,
  exports: readonly OfferedExport[],
  options: NbdServerOptions,
) {
  const { signal, onTransmission, isSingle = false } = options;
  const leave = () => client.close(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener("abort", leave);
  const { result: chosen, rest } = await negotiate(client, (dialogue) =>
    serverHandshake(dialogue, exports, { isSingle }),
  ).finally(() => signal?.removeEventListener("abort", leave));
  if (!chosen) {
    // The client may be gone without waiting for the answer.
    await rest.writable.close().catch(() => {});
    await rest.readable.cancel(new Ended("the client ended the handshake"));
    return;
  }
  const { target, negotiated } = chosen;
  onTransmission?.(negotiated);
  await join(rest, transmission(target, negotiated, options));
}
