import { ByteQueue } from "./byte-queue.ts";
import { checkDuplex, checkType } from "./check.ts";
import type { Duplex } from "./duplex.ts";
import { type Parser, Parsing, UnexpectedEndError } from "./parse.ts";
import { ReadableStream } from "./runtime.ts";
import { Turns } from "./turns.ts";

/** Reads and writes the messages of a dialogue, one at a time. */
export interface Dialogue {
  /**
   * Reads one message.
   * @param what the name of the message, for errors
   * @throws UnexpectedEndError when the other side ends before the message is complete
   * @throws what the parser throws
   */
  read<T>(parser: Parser<T>, what: string): Promise<T>;
  /**
   * Sends bytes. It resolves before they have left, since the other side may wait for what comes next. It waits only while
   * much has not left yet.
   */
  write(bytes: Uint8Array): Promise<void>;
}

/** How many bytes may wait to leave before a write waits. */
const UNSENT = 1 << 16;

/** Bytes that a waiting message counts besides its own: many short ones take more memory than their length. */
const MESSAGE_WEIGHT = 1 << 10;

/** How much work a message is, in items of `Turns`: each is answered by itself. */
const EFFORT = 16;

/** The bytes that a dialogue left, and the channel to go on with. */
export interface DialogueOutcome<T> {
  result: T;
  /** The channel from the first byte that the dialogue did not take. */
  rest: Duplex<Uint8Array>;
}

/**
 * Runs a dialogue at the start of a channel. Returns its result and the rest of the channel. The dialogue takes no byte that
 * its parsers do not ask for, so nothing is lost that the other side sent ahead. If the dialogue throws, both streams end
 * with its error.
 */
export async function negotiate<T>(
  channel: Duplex<Uint8Array>,
  dialogue: (dialogue: Dialogue) => Promise<T>,
): Promise<DialogueOutcome<T>> {
  checkDuplex(channel, "the channel");
  checkType(dialogue, "the dialogue", "function");
  return converse(channel, dialogue);
}

/** `negotiate` without checks, for what is known to be right. */
export async function converse<T>(
  channel: Duplex<Uint8Array>,
  dialogue: (dialogue: Dialogue) => Promise<T>,
): Promise<DialogueOutcome<T>> {
  const reader = channel.readable.getReader();
  const writer = channel.writable.getWriter();
  writer.closed.catch(() => {});
  const queue = new ByteQueue();
  const turns = new Turns();

  async function read<M>(parser: Parser<M>, what: string): Promise<M> {
    const parsing = new Parsing(parser, what);
    if (turns.isOver(EFFORT)) await turns.next;
    for (;;) {
      const message = parsing.advance(queue);
      if (message) return message.value;
      if (turns.isOver()) await turns.next;
      const { done, value } = await reader.read();
      if (done) throw new UnexpectedEndError(`the connection ended before the ${what} came`);
      queue.push(value);
    }
  }

  let unsent = 0;
  async function write(bytes: Uint8Array): Promise<void> {
    const weight = bytes.byteLength + MESSAGE_WEIGHT;
    unsent += weight;
    const sent = writer.write(bytes).then(() => {
      unsent -= weight;
    });
    // The next read or write reports a failure.
    sent.catch(() => {});
    if (unsent > UNSENT) await sent;
  }

  try {
    const result = await dialogue({ read, write });
    writer.releaseLock();
    // If nothing is left over, the stream itself is returned: a stream around it would cost a read for each chunk.
    const isUntouched = queue.length === 0;
    if (isUntouched) reader.releaseLock();
    const readable = isUntouched ? channel.readable : unread(queue, reader);
    return { result, rest: { readable, writable: channel.writable } };
  } catch (error) {
    // The reader first: a transport that can give a reason when it is closed, as a WebSocket, then gives this one.
    reader.cancel(error).catch(() => {});
    // Closed, not aborted, so that what was sent last, an error reply, still leaves. But if the other side has ended,
    // the failure must not look like an orderly end.
    if (error instanceof UnexpectedEndError) writer.abort(error).catch(() => {});
    else writer.close().catch(() => {});
    throw error;
  }
}

/** The rest of a stream, from the bytes in `queue` on. */
function unread(
  queue: ByteQueue,
  reader: ReadableStreamDefaultReader<Uint8Array>,
): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const left = queue.takeChunk();
        if (left) return controller.enqueue(left);
        const { done, value } = await reader.read();
        if (done) controller.close();
        else controller.enqueue(value);
      },
      cancel: (reason) => reader.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
