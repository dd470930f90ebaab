import type { Export } from "../../export/export.ts";
import { checkOwnTransport } from "../../streams/check.ts";
import type { Layer, Transport } from "../../streams/duplex.ts";
import { Ended } from "../../streams/ended.ts";
import { joinUnchecked } from "../../streams/join.ts";
import { converse } from "../../streams/negotiate.ts";
import { duplexPair } from "../../streams/pair.ts";
import { checkOffered, type HandshakeOptions, type OfferedExport } from "../option/option.ts";
import type { Negotiated } from "../transmission.ts";
import { chooseExport } from "./handshake.ts";
import { checkTransmissionOptions, type TransmissionOptions, transmissionOf } from "./layers.ts";

export interface NbdServerOptions extends TransmissionOptions, HandshakeOptions {
  /** The export's name. Clients may ask for it, or for "". Default "". */
  name?: string;
  /** Words for people about the export. */
  description?: string;
  /** Called when a client has chosen the export and the transmission phase begins. */
  onTransmission?(negotiated: Negotiated): void;
}

/**
 * An NBD server as one layer: what the client says in, what the server says out. One layer serves one client;
 * the export may be shared by many, and is not closed.
 *
 *     await join(transport, nbdServer(blobExport(file)))
 *
 * Several exports have names, and perhaps descriptions, of their own. The first is the default one: a client that asks for ""
 * gets it.
 *
 * Clean ends, after NBD_CMD_DISC, NBD_OPT_ABORT or an end of the client's stream between two messages, close the
 * readable; a client that breaks the protocol fails it with ProtocolError or UnexpectedEndError.
 *
 * @throws TypeError, RangeError when an export cannot be served, or an option is out of range
 */
export function nbdServer(
  target: Export | readonly OfferedExport[],
  options: NbdServerOptions = {},
): Layer<Uint8Array, Uint8Array> {
  const exports = offered(target, options);
  const [outside, inside] = duplexPair<Uint8Array, Uint8Array>({ lockstep: true });
  serveClient(inside, exports, options).catch(() => {});
  return outside;
}

/** The exports to offer, once all that was passed has been checked. */
function offered(
  target: Export | readonly OfferedExport[],
  options: NbdServerOptions,
): readonly OfferedExport[] {
  const { name = "", description } = options;
  checkTransmissionOptions(options);
  const isSeveral = Array.isArray(target);
  const exports: readonly OfferedExport[] = isSeveral
    ? target
    : [{ name, ...(description !== undefined && { description }), target: target as Export }];
  checkOffered(exports, isSeveral);
  return exports;
}

/**
 * `join(client, nbdServer(target, options))` where nothing is to stand between the two: without the layer's own ends, by
 * which each chunk would be handed on twice more. The transport is closed with the error when this fails.
 *
 * @returns a promise that resolves when both directions have ended in order, by themselves or by the signal
 * @throws ProtocolError, UnexpectedEndError, RefusedError or the transport's error; the signal's reason when it came before
 *   an export was chosen
 */
export async function serveClient(
  client: Transport,
  target: Export | readonly OfferedExport[],
  options: NbdServerOptions = {},
): Promise<void> {
  const exports = checkServing(client, target, options);
  await serveExports(client, exports, options);
}

/**
 * Checks what `serveClient` is passed. What is wrong ends the transport.
 * @returns the exports to offer
 */
export function checkServing(
  client: Transport,
  target: Export | readonly OfferedExport[],
  options: NbdServerOptions,
): readonly OfferedExport[] {
  checkOwnTransport(client, "the client");
  try {
    return offered(target, options);
  } catch (error) {
    client.close(error);
    throw error;
  }
}

/** `serveClient` without checks: those would be a good part of a page's script, which has nothing to check. */
export async function serveExports(
  client: Transport,
  exports: readonly OfferedExport[],
  options: NbdServerOptions,
): Promise<void> {
  try {
    const { result: chosen, rest } = await haggle(client, exports, options);
    if (!chosen) {
      // The client may be gone without waiting for the answer.
      await rest.writable.close().catch(() => {});
      await rest.readable.cancel(new Ended("the client ended the handshake"));
      return;
    }
    const { negotiated } = chosen;
    options.onTransmission?.(negotiated);
    const served = transmissionOf(chosen.target, negotiated, options);
    await joinUnchecked({ ...rest, close: (reason) => client.close(reason) }, served);
  } catch (error) {
    client.close(error);
    throw error;
  }
}

/** The handshake, which the signal gives up. */
async function haggle(client: Transport, exports: readonly OfferedExport[], options: NbdServerOptions) {
  const { signal } = options;
  const leave = () => client.close(signal?.reason);
  signal?.throwIfAborted();
  signal?.addEventListener("abort", leave);
  try {
    return await converse(client, (dialogue) => chooseExport(dialogue, exports, options));
  } finally {
    signal?.removeEventListener("abort", leave);
  }
}
