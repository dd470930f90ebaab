import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { Describer } from "../nbd/describe/describer.ts";
import { checkTransport } from "../streams/check.ts";
import type { Transport } from "../streams/duplex.ts";
import { Turns } from "../streams/turns.ts";
import { formatConversation, type Message, type Side } from "../transport/conversation.ts";
import { record } from "../transport/record.ts";
import { reasonOf } from "./system-error.ts";

/** To describe a message is as much work as to take so many. */
const EFFORT = 8;

/** A session that is being written to a file. */
export interface Recording {
  /** The transport to use in place of the one that was given. */
  transport: Transport;
  /** Writes what is left and closes the file. Called once, when the transport has ended. */
  end(): Promise<void>;
}

/** What is wrong with a file that is to be made. */
const words: Readonly<Record<string, string>> = {
  EEXIST: "the file exists already; name a new one",
  ENOENT: "there is no such folder",
  ENOTDIR: "there is no such folder",
};

/** O_EXCL follows no symbolic link, and opens nothing that could wait, as a FIFO (open(2)). */
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

/**
 * Records what an NBD session says over a transport in a file, while it runs, as `parseConversation` reads it, each
 * message with what it means. Nothing is kept in memory: the session waits for the file.
 *
 * @param side the side of whoever uses the transport
 * @param path a Buffer where its name is not UTF-8; a file that is not there yet: no other's is overwritten, nor what a symbolic link leads to. Its mode is 0600
 * @param title the first line of the file, a comment
 * @throws Error when the file can't be made. When it can't be written to, the transport fails.
 */
export async function recordToFile(
  transport: Transport,
  side: Side,
  path: string | Buffer,
  title: string,
): Promise<Recording> {
  checkTransport(transport, "the transport");
  const failed = (error: NodeJS.ErrnoException): never => {
    throw new Error(`recording to ${String(path) || '""'}: ${words[error.code ?? ""] ?? reasonOf(error)}`, {
      cause: error,
    });
  };
  // What is on the disk is the business of whoever records it.
  const file = await open(path, NEW_FILE, 0o600).catch(failed);
  const describer = new Describer();
  const turns = new Turns();
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
      let described: Message[] = [];
      for (const each of describer.each(message)) {
        described.push(each);
        if (!turns.isOver(EFFORT)) continue;
        append(described);
        described = [];
        await turns.next;
      }
      await append(described).catch(failed);
    }),
    async end() {
      while (turns.next) await turns.next;
      try {
        await append(describer.end()).catch(failed);
      } finally {
        await file.close();
      }
    },
  };
}
