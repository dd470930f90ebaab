import { open } from "node:fs/promises";
import { Describer } from "../nbd/describe/describer.ts";
import { checkTransport } from "../streams/check.ts";
import type { Transport } from "../streams/duplex.ts";
import { formatConversation, type Message, type Side } from "../transport/conversation.ts";
import { record } from "../transport/record.ts";

/** A session that is being written to a file. */
export interface Recording {
  /** The transport to use in place of the one that was given. */
  transport: Transport;
  /** Writes what is left and closes the file. Called once, when the transport has ended. */
  end(): Promise<void>;
}

/**
 * Records what an NBD session says over a transport in a file, while it runs, as `parseConversation` reads it, each
 * message with what it means. Nothing is kept in memory: the session waits for the file.
 *
 * @param side the side of whoever uses the transport
 * @param path the file, which is replaced; a new one has mode 0600
 * @param title the first line of the file, a comment
 * @throws Error when the file can't be opened. When it can't be written to, the transport fails.
 */
export async function recordToFile(
  transport: Transport,
  side: Side,
  path: string,
  title: string,
): Promise<Recording> {
  checkTransport(transport, "the transport");
  const failed = (error: Error): never => {
    throw new Error(`recording to ${path}: ${error.message}`, { cause: error });
  };
  // What is on the disk is the business of whoever records it.
  const file = await open(path, "w", 0o600).catch(failed);
  const describer = new Describer();
  let written: Promise<unknown> = file.write(`# ${title}\n\n`);
  written.catch(() => {});

  /** Both directions write, in the order in which they were heard. */
  function append(messages: Message[]): Promise<unknown> {
    if (messages.length === 0) return written;
    const text = formatConversation(messages);
    written = written.then(() => file.writeFile(text));
    written.catch(() => {});
    return written;
  }

  return {
    transport: record(transport, side, async (message) => {
      await append(describer.push(message)).catch(failed);
    }),
    async end() {
      try {
        await append(describer.end()).catch(failed);
      } finally {
        await file.close();
      }
    },
  };
}
