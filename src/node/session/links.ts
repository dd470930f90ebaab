import type { BegunHandshake } from "../../nbd/client/begun-handshake.ts";
import { checkOwnTransport } from "../../streams/check.ts";
import type { Transport } from "../../streams/duplex.ts";
import { untilAborted } from "../until-aborted.ts";

/** The connection below a link. */
export interface Connection {
  /** The address of the other side; "" on a unix socket. */
  readonly address: string;
  /** Milliseconds since anything came from the other side. */
  readonly silence: number;
  /** Bytes that came from the other side, and that went to it. */
  readonly received: number;
  readonly sent: number;
  /** The code of the other side's close frame, 1006 if there was none; undefined while the connection is there. */
  readonly closeCode: number | undefined;
  /** Finds out whether something comes within so many milliseconds. If nothing does, the connection is ended. */
  isAlive(milliseconds: number): Promise<boolean>;
}

/** A link whose handshake has begun. It belongs to whoever it is given to. */
export interface BegunLink {
  readonly handshake: BegunHandshake;
  readonly connection: Connection;
  /** With what an earlier link of the session ends, in favour of this one. */
  readonly succession: Error;
  /** Ends it: the session does not take it. */
  refuse(reason: Error): void;
}

/**
 * Gives a session its links, one for each call: a transport from which nothing has been read yet, or a link whose handshake has
 * begun. It belongs to the session from then on. `undefined` says that there are no more, and a rejection ends the session.
 * @param signal is aborted when no link is wanted any more
 */
export type Links = (signal: AbortSignal) => Promise<Transport | BegunLink | undefined>;

/** Whether what a supply has given is more than a transport. */
export function isBegun(link: Transport | BegunLink): link is BegunLink {
  return typeof (link as Partial<BegunLink>)?.handshake === "object";
}

/**
 * A supply of links. A function is one already; a transport makes a supply of one link.
 * @throws TypeError when it is neither; what was given in place of a transport is ended
 */
export function linksOf(links: Transport | Links): Links {
  if (typeof links === "function") return links;
  checkOwnTransport(links, "the transport");
  let left: Transport | undefined = links;
  return async () => {
    const transport = left;
    left = undefined;
    return transport;
  };
}

/**
 * Asks for a link. A link that comes after the signal was aborted is closed.
 * @returns undefined when there are no more, or the signal was aborted
 * @throws TypeError when what comes is not a transport, and whatever the supply throws
 */
export async function nextLink(
  links: Links,
  signal: AbortSignal,
): Promise<Transport | BegunLink | undefined> {
  const coming = (async () => links(signal))();
  await untilAborted(coming, signal);
  if (signal.aborted) {
    coming.then(
      (late) => late && (isBegun(late) ? late.refuse(signal.reason) : late.close(signal.reason)),
      () => {},
    );
    return undefined;
  }
  const link = await coming;
  if (link !== undefined && !isBegun(link)) checkOwnTransport(link, "the transport of the next link");
  return link;
}
