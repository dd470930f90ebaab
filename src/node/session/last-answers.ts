import type { RemoteExport } from "../../nbd/client/remote-export.ts";
import { NoAnswerError } from "../../nbd/error.ts";
import { deadline } from "../../streams/deadline.ts";
import type { Transport } from "../../streams/duplex.ts";

/** Milliseconds without anything from the other side after which it is taken to be gone, and those between two looks. */
const QUIET = 5000;
const LOOK = 500;

/**
 * Has a link end, as one that is lost, if nothing at all comes from the other side for 5 s while something is outstanding, once an
 * orderly end was asked for. There are relays that end a session so: they relay nothing any more, keep the pipes open, and wait for
 * this process without a limit. What is read for the end, as by a hook that unmounts, would wait for `timeout`.
 *
 * @param received bytes that have come from the other side so far
 */
export function endWhenSilent(
  remote: Pick<RemoteExport, "unanswered" | "closed">,
  transport: Pick<Transport, "close">,
  received: () => number,
  signal: AbortSignal,
): void {
  let callOff = () => {};
  let seen = 0;
  let quiet = 0;

  function look() {
    const now = received();
    quiet = remote.unanswered > 0 && now === seen ? quiet + LOOK : 0;
    seen = now;
    if (quiet > QUIET) {
      const words = `nothing came from the other side for ${QUIET / 1000} s after the end was asked for`;
      transport.close(new NoAnswerError(`${words}, with ${remote.unanswered} requests unanswered`));
    } else callOff = deadline(LOOK, look);
  }

  if (signal.aborted) look();
  else signal.addEventListener("abort", look);
  const end = () => {
    callOff();
    signal.removeEventListener("abort", look);
  };
  remote.closed.then(end, end);
}
