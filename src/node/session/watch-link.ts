import type { RemoteExport } from "../../nbd/client/remote-export.ts";
import { nextTask } from "../../streams/next-task.ts";
import type { Connection } from "./links.ts";

/** Bytes at the beginning of an export that are asked for: a sector, as every server can read one. */
const LENGTH = 512;

/** Milliseconds between two looks; of silence before the other side is asked; and that it has to answer. */
const LOOK = 1000;
const SILENCE = 5000;
const ANSWER_TIME = 7000;

/**
 * Sees to it that a link which is lost is found lost soon, also when nothing is asked: when nothing was heard for five
 * seconds it asks for a sign of life, and ends the link if none comes.
 *
 * It reads a sector too, past all filters, so that it is neither counted nor kept: a page cannot see a ping, and takes the
 * link for lost when no request comes.
 */
export function watchLink(
  remote: Pick<RemoteExport, "read" | "size" | "closed">,
  connection: Connection,
): void {
  let isReading = false;
  function look() {
    if (connection.silence < SILENCE) return;
    void connection.isAlive(ANSWER_TIME);
    if (isReading) return;
    isReading = true;
    const done = () => {
      isReading = false;
    };
    remote.read(0, Math.min(LENGTH, remote.size)).then(done, done);
  }
  // What came while this process was stopped is read first.
  const timer = setInterval(() => nextTask(look), LOOK);
  const end = () => clearInterval(timer);
  remote.closed.then(end, end);
}
