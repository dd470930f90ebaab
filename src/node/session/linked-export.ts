import type { RequestWindow } from "../../export/request-window.ts";
import { type BegunHandshake, beginHandshake } from "../../nbd/client/begun-handshake.ts";
import type { RemoteExport } from "../../nbd/client/remote-export.ts";
import type { Introduction } from "../../nbd/introduction.ts";
import type { Transport } from "../../streams/duplex.ts";
import { endWhenSilent } from "./last-answers.ts";
import { type BegunLink, type Connection, isBegun } from "./links.ts";
import { signOfLife } from "./sign-of-life.ts";
import { watchLink } from "./watch-link.ts";

/** Seconds that a server is given to greet, and for each later reply of the handshake; less where `timeout` is less. */
const GREETING_TIME = 5;
const REPLY_TIME = 30;

export interface BeginLinkOptions {
  /** Seconds without an answer after which the link is lost; 0: never. */
  timeout: number;
  /** Introduces this side; see `beginHandshake`. */
  introduce?: { nonce: string; wait: number };
  /** Gives the handshake up. */
  signal: AbortSignal;
}

/**
 * Begins the handshake of a link. The transport is closed when that fails.
 * @returns undefined when the signal gave the handshake up
 * @throws LinkError, ProtocolError, or the transport's error
 */
export async function beginLink(
  transport: Transport,
  { timeout, introduce, signal }: BeginLinkOptions,
): Promise<BegunHandshake | undefined> {
  // Where requests may take for ever, the handshake may not.
  const longest = timeout || Number.POSITIVE_INFINITY;
  const reply = Math.min(REPLY_TIME, longest);
  const handshakeTimes = { greeting: Math.min(GREETING_TIME, longest), reply, whole: 2 * reply };
  const options = { timeout, handshakeTimes, signal, ...(introduce && { introduce }) };
  return unlessGivenUp(beginHandshake(transport, options), transport, signal);
}

export interface LinkedExportOptions extends Omit<BeginLinkOptions, "introduce"> {
  /** Seconds of silence after which a sector is read, as a sign of life; 0: never. */
  silence: number;
  /** Called when the server has greeted, and waited for before the rest of the handshake. */
  onGreeting?(): Promise<void>;
  /** What the server is asked for at most; asked for when the server has greeted. Default: what `RemoteExport` says. */
  window?(): Promise<Partial<RequestWindow>>;
  /** Bytes that have come from the other side, where that is known: see `endWhenSilent`. */
  received?(): number;
  /** Given to the server to keep, if it has introduced itself. */
  key?: string;
}

/** The export at the other end of a link. */
export interface LinkedExport {
  readonly remote: RemoteExport;
  /** What the server has told of itself; undefined if it knows nothing of this. */
  readonly introduction: Introduction | undefined;
  readonly connection: Connection | undefined;
  /** Ends the link at once, with a reason that the other side is told. */
  close(reason?: unknown): void;
}

/**
 * The export at the other end of a link, once the handshake is done; the signs of life end with the link. The link is closed
 * when the handshake fails.
 * @returns undefined when the signal gave the handshake up
 * @throws RefusedError, LinkError, ProtocolError, what `onGreeting` throws, or the transport's error
 */
export async function linkedExport(
  link: Transport | BegunLink,
  { timeout, silence, signal, onGreeting, window, received, key }: LinkedExportOptions,
): Promise<LinkedExport | undefined> {
  const connection = isBegun(link) ? link.connection : undefined;
  const handshake = isBegun(link) ? link.handshake : await beginLink(link, { timeout, signal });
  if (!handshake) return undefined;
  const { transport, introduction } = handshake;
  const finish = async () => {
    await onGreeting?.();
    const wanted = window?.();
    return handshake.finish({
      signal,
      ...(wanted && { window: wanted }),
      ...(key !== undefined && introduction && { key }),
    });
  };
  const remote = await unlessGivenUp(finish(), transport, signal);
  if (!remote) return undefined;
  if (connection) watchLink(remote, connection);
  if (silence > 0 && remote.size > 0) {
    const endSigns = signOfLife(remote, silence);
    remote.closed.then(endSigns, endSigns);
  }
  if (received) endWhenSilent(remote, transport, received, signal);
  return { remote, introduction, connection, close: (reason) => transport.close(reason) };
}

/** Closes the transport when a step of the handshake fails; undefined if that is since the signal gave it up. */
async function unlessGivenUp<T>(
  step: Promise<T>,
  transport: Transport,
  signal: AbortSignal,
): Promise<T | undefined> {
  try {
    return await step;
  } catch (error) {
    transport.close(error);
    if (signal.aborted) return undefined;
    throw error;
  }
}
