import { checkOwnTransport } from "../../streams/check.ts";
import type { Transport } from "../../streams/duplex.ts";
import { untilAborted } from "../until-aborted.ts";

/**
 * Gives a session its links, one for each call. A link is a transport from which nothing has been read yet; it belongs to the
 * session from then on. `undefined` says that there are no more, and a rejection ends the session.
 * @param signal is aborted when no link is wanted any more
 */
export type Links = (signal: AbortSignal) => Promise<Transport | undefined>;

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
export async function nextLink(links: Links, signal: AbortSignal): Promise<Transport | undefined> {
  const coming = (async () => links(signal))();
  await untilAborted(coming, signal);
  if (signal.aborted) {
    coming.then(
      (late) => late?.close(signal.reason),
      () => {},
    );
    return undefined;
  }
  const transport = await coming;
  if (transport !== undefined) checkOwnTransport(transport, "the transport of the next link");
  return transport;
}
