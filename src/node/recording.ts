import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { Describer } from "../nbd/describe/describer.ts";
import { checkTransport } from "../streams/check.ts";
import type { Transport } from "../streams/duplex.ts";
import { Turns } from "../streams/turns.ts";
import { formatConversation, type Message, type Side } from "../transport/conversation.ts";
import { record } from "../transport/record.ts";
import { reasonOf } from "./system-error.ts";

/** Describing a message is as much work as receiving this many. */
const EFFORT = 8;

/** A session that is being written to a file. */
export interface Recording {
  /** The transport to use in place of the original one. */
  transport: Transport;
  /** Writes the rest and closes the file. Call it once, when the transport has ended. */
  end(): Promise<void>;
}

/** Words for the errors of making a file. */
const words: Readonly<Record<string, string>> = {
  EEXIST: "the file exists already; name a new one",
  ENOENT: "there is no such folder",
  ENOTDIR: "there is no such folder",
};

/** O_EXCL neither follows a symbolic link nor opens a FIFO, which could wait for ever (open(2)). */
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

/**
 * Records an NBD session to a file while it runs, in the format of `parseConversation`, each message with its meaning. Nothing
 * is kept in memory: the session waits for the file.
 *
 * @param side the side that uses the transport
 * @param path of a new file, which gets mode 0600; a Buffer if it is not UTF-8. No existing file is overwritten
 * @param title the first line of the file, a comment
 * @throws Error if the file cannot be made. If it cannot be written to, the transport fails.
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
  // A recording holds parts of the disk, so only its owner may read it.
  const file = await open(path, NEW_FILE, 0o600).catch(failed);
  const describer = new Describer();
  const turns = new Turns();
  let written: Promise<unknown> = file.write(`# ${title}\n\n`);
  written.catch(() => {});

  /** Writes the messages of both directions in the order in which they came. */
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
