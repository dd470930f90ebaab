import { ByteQueue } from "./byte-queue.ts";
import { checkDuplex, checkType } from "./check.ts";
import type { Duplex } from "./duplex.ts";
import { type Parser, Parsing, UnexpectedEndError } from "./parse.ts";
import { ReadableStream } from "./runtime.ts";
import { Turns } from "./turns.ts";

/** What a dialogue speaks with: one message at a time, each side in turn. */
export interface Dialogue {
  /**
   * Reads one message.
   * @param what what is being read, for the error message
   * @throws UnexpectedEndError when the other side ends before the message is complete
   * @throws what the parser throws
   */
  read<T>(parser: Parser<T>, what: string): Promise<T>;
  /**
   * Sends bytes. It does not wait until they have left, since the other side may wait for what comes next; only
   * when much has not left yet, for that.
   */
  write(bytes: Uint8Array): Promise<void>;
}

/** Bytes of a dialogue that may wait to leave. */
const UNSENT = 1 << 16;

/** What a message takes besides its bytes while it waits: very many short ones would hold many times their length. */
const MESSAGE_WEIGHT = 1 << 10;

/** A message of a dialogue is as much work as so many of what comes after it: each is answered by itself. */
const EFFORT = 16;

/** The bytes that a dialogue left, and the channel to go on with. */
export interface DialogueOutcome<T> {
  result: T;
  /** The channel from the first byte that the dialogue did not take. */
  rest: Duplex<Uint8Array>;
}

/**
 * Runs a dialogue at the start of a channel and returns its result and the untouched rest of the channel. The
 * dialogue's read never takes a byte more than its parsers ask for, so what the other side sent ahead is not
 * lost. When the dialogue throws, both streams are ended with its error.
 */
export async function negotiate<T>(
  channel: Duplex<Uint8Array>,
  dialogue: (dialogue: Dialogue) => Promise<T>,
): Promise<DialogueOutcome<T>> {
  checkDuplex(channel, "the channel");
  checkType(dialogue, "the dialogue", "function");
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
    // A failure shows at the next read or write.
    sent.catch(() => {});
    if (unsent > UNSENT) await sent;
  }

  try {
    const result = await dialogue({ read, write });
    writer.releaseLock();
    // The stream itself, where the dialogue took all of what came: with one in front of it each chunk costs a read more.
    const isUntouched = queue.length === 0;
    if (isUntouched) reader.releaseLock();
    const readable = isUntouched ? channel.readable : unread(queue, reader);
    return { result, rest: { readable, writable: channel.writable } };
  } catch (error) {
    // The reader first: by that a transport that has words for its end tells the other side why.
    reader.cancel(error).catch(() => {});
    // Closed rather than aborted: what was sent last, an error reply, must still go out. Where the other side has
    // ended, nothing is left to tell it, and the failure must not pass for an orderly end.
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
