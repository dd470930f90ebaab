import type { Export } from "../../export/export.ts";
import { LinkError } from "../../nbd/error.ts";
import { deadline } from "../../streams/deadline.ts";
import { deferred } from "../../streams/deferred.ts";
import { withWordsForOthers } from "../../streams/for-others.ts";
import type { Attachment } from "./place.ts";
import type { Watch } from "./watch.ts";

/** Milliseconds that a server is given to confirm the last FLUSH. */
const FLUSH_TIME = 1000;

/** Seconds within which one of the last changes of a device has to get through where requests may take for ever. */
const STALL_TIME = 30;

/** What was written to an export is lost, or nobody has said that it is not. */
export class LossError extends Error {
  override name = "LossError";
}

/** What the last writes depend on. */
export interface LastWrites {
  /** The export, past what counts its requests. */
  target: Export;
  /** The end of the export, and of what is attached. */
  source: Watch;
  attached: Watch;
  /** How many changes have got through. */
  changes(): number;
  /** Seconds without an answer after which a request has failed; 0: never. */
  timeout: number;
}

/**
 * Ends an attachment in order, while the export still answers: what this machine still holds is written, the last requests of
 * local clients are answered, then everything that was written is made safe. Where the export goes meanwhile, nothing more is
 * said to it.
 * @throws LossError when what was written is lost, or was not confirmed
 */
export async function saveAndDetach(
  attachment: Attachment,
  { target, source, attached, changes, timeout }: LastWrites,
): Promise<void> {
  let lost: unknown;
  if (attachment.flush && !attached.isGone) {
    const flushed = unlessStalled(attachment.flush(), changes, timeout || STALL_TIME);
    await Promise.race([flushed, source.gone, attached.gone]).catch((error: Error) => {
      const words = `what was written last to ${attachment.where} is lost: ${error.message}`;
      lost = withWordsForOthers(new LossError(words), "what was written last is lost");
    });
  }
  await attachment.detach();
  if (lost) throw lost;
  if (source.isGone) return;
  await flushSoon(target).catch((error: Error) => {
    // Where nothing was written nothing can be lost.
    throw changes() > 0 ? new LossError(error.message, { cause: error }) : error;
  });
}

/** Waits for work that may take long, as long as it goes on: `progress` has to change within so many seconds. */
async function unlessStalled(work: Promise<void>, progress: () => number, seconds: number): Promise<void> {
  const { promise: stalled, reject } = deferred<never>();
  let callOff = start();
  function start() {
    const before = progress();
    return deadline(seconds * 1000, () => {
      if (progress() === before) reject(new Error(`nothing got through for ${seconds} s`));
      else callOff = start();
    });
  }
  try {
    await Promise.race([work, stalled]);
  } finally {
    callOff();
  }
}

/** An end that was asked for must neither wait for a server that hangs nor count as a good one. */
async function flushSoon(target: Export): Promise<void> {
  const { promise: late, reject } = deferred<never>();
  const callOff = deadline(FLUSH_TIME, () =>
    reject(new LinkError(`the server did not confirm a FLUSH for ${FLUSH_TIME / 1000} s`)),
  );
  try {
    await Promise.race([target.flush?.(), late]);
  } finally {
    callOff();
  }
}
