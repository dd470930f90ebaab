import type { RemoteExport } from "../../nbd/client/remote-export.ts";
import { nextTask } from "../../streams/next-task.ts";
import type { Connection } from "./links.ts";

/** Bytes at the beginning of an export that are asked for: a sector, as every server can read one. */
const LENGTH = 512;

/** How many of these may have no answer yet: who asked for more would not hear sooner of a server that hangs. */
const MOST = 8;

/** Milliseconds between what a watch does. */
export interface WatchTimes {
  /** Between two looks. */
  look: number;
  /** Without a request, or without anything from the other side, before it is asked for a sign of life. */
  quiet: number;
  /** That the other side has to give one. */
  answer: number;
}

const TIMES: WatchTimes = { look: 1000, quiet: 5000, answer: 7000 };

/**
 * Sees to it that both sides find soon that a link is lost, also when nothing is asked for.
 *
 * - When nothing was heard for five seconds the other side is pinged, and the link ended if nothing comes.
 * - When nothing was asked for five seconds a sector is read, past all filters, so that it is neither counted nor kept: a page
 *   cannot see a ping, and takes the link for lost when no request comes. So this is asked for while pings are answered, and
 *   while the answers of earlier requests are still on their way.
 */
export function watchLink(
  remote: Pick<RemoteExport, "read" | "requests" | "size" | "closed">,
  connection: Pick<Connection, "silence" | "isAlive">,
  { look: interval, quiet, answer }: WatchTimes = TIMES,
): void {
  let seen = remote.requests;
  let askedAt = performance.now();
  let unanswered = 0;

  function look() {
    const now = performance.now();
    if (remote.requests !== seen) askedAt = now;
    seen = remote.requests;
    if (connection.silence >= quiet) void connection.isAlive(answer);
    if (now - askedAt >= quiet && unanswered < MOST) ask(now);
  }

  function ask(now: number) {
    askedAt = now;
    unanswered++;
    const done = () => {
      unanswered--;
    };
    remote.read(0, Math.min(LENGTH, remote.size)).then(done, done);
  }

  // What came while this process was stopped is read first.
  const timer = setInterval(() => nextTask(look), interval);
  const end = () => clearInterval(timer);
  remote.closed.then(end, end);
}
