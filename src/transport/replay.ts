import { checkAmount, checkDuplex, checkMethods, LONGEST_TIMER, shown } from "../streams/check.ts";
import { concat } from "../streams/concat.ts";
import { deadline } from "../streams/deadline.ts";
import { deferred } from "../streams/deferred.ts";
import type { Layer, Transport } from "../streams/duplex.ts";
import { Ended } from "../streams/ended.ts";
import { join } from "../streams/join.ts";
import { ReadableStream, WritableStream } from "../streams/runtime.ts";
import { tryClose, tryError } from "../streams/try-close.ts";
import { type Conversation, type Message, otherSide, type Side } from "./conversation.ts";
import { ReplayError } from "./replay-error.ts";

export interface ReplayOptions {
  /** The side to play. */
  as: Side;
  /** The longest chunk that is sent, in bytes. Default: no limit. */
  chunkSize?: number;
  /** It fails after this many milliseconds without progress. Default 10,000; 0: never. */
  timeout?: number;
}

/** A transport whose other end is a recording. */
export interface Replay extends Transport {
  /**
   * Resolves when both sides have said all that was recorded. Rejects with ReplayError at the first difference, or with the
   * reason with which the transport was closed. It is safe to ignore.
   */
  readonly done: Promise<void>;
}

/**
 * Plays one side of a recorded conversation to code that is the other side:
 *
 *     const server = replay(parseConversation(text), { as: "server", chunkSize: 1 });
 *     const remote = await nbdClient(server);
 *     // … what the recorded client did …
 *     await server.done;
 *
 * It says nothing before the other side has said all that comes earlier in the recording. It ends when everything has been
 * said. What the other side says after that is a difference too: `closed` rejects. At a difference both streams, `done` and
 * `closed` fail with a ReplayError.
 */
export function replay(conversation: Conversation, options: ReplayOptions): Replay {
  const { as, chunkSize = Number.POSITIVE_INFINITY, timeout = 10_000 } = options;
  checkMethods(conversation, "the conversation", "an array of messages", ["filter", "map"]);
  if (as !== "client" && as !== "server") {
    throw new TypeError(`"as" must be "client" or "server", not ${shown(as)}`);
  }
  checkAmount(chunkSize, "the chunk size, in bytes,", 1);
  checkAmount(timeout, "timeout, in milliseconds,", 0, LONGEST_TIMER);
  const listensTo = otherSide(as);
  const heard = conversation.filter(({ from }) => from === listensTo);
  const expected = concat(heard.map(({ bytes }) => bytes));
  const turns = turnsOf(conversation, as);
  const said = concat(turns.map(({ bytes }) => bytes));

  const done = deferred();
  const closed = deferred();
  let received = 0;
  let sent = 0;
  let turn = 0;
  let open = 2;
  let over = false;
  let wake: (() => void) | undefined;
  let callOff: (() => void) | undefined;
  let output!: ReadableStreamDefaultController<Uint8Array>;
  let input!: WritableStreamDefaultController;

  function fail(reason: unknown) {
    if (over) return;
    over = true;
    callOff?.();
    done.reject(reason);
    closed.reject(reason);
    tryError(output, reason);
    tryError(input, reason);
    wake?.();
  }

  function endOne() {
    if (--open > 0 || over) return;
    over = true;
    closed.resolve();
  }

  const isComplete = () => received === expected.byteLength && sent === said.byteLength;

  /** To be called after progress: ends the readable when all is said, else restarts the other side's time. */
  function progress() {
    callOff?.();
    if (over) return;
    if (isComplete()) {
      done.resolve();
      endReadable();
    } else if (timeout > 0) {
      callOff = deadline(timeout, () => fail(missing(`nothing more came for ${timeout} ms`)));
    }
  }

  let readableEnded = false;
  function endReadable() {
    if (readableEnded) return;
    readableEnded = true;
    tryClose(output);
    wake?.();
    endOne();
  }

  function missing(what: string): ReplayError {
    if (received < expected.byteLength) {
      const wanted = expected[received]!;
      const problem = `the ${listensTo}'s byte ${received} is missing, 0x${hex(wanted)} was recorded: ${what}`;
      return difference(problem, received, wanted, undefined);
    }
    const left = said.byteLength - sent;
    return difference(`the ${listensTo} left ${left} bytes unread: ${what}`, received, undefined, undefined);
  }

  function difference(problem: string, offset: number, wanted?: number, actual?: number): ReplayError {
    return new ReplayError(problem, {
      from: listensTo,
      offset,
      expected: wanted,
      actual,
      line: lineAt(heard, offset),
    });
  }

  /** Compares bytes that came with those recorded. */
  function listen(bytes: Uint8Array) {
    for (const byte of bytes) {
      const wanted = expected[received];
      if (byte !== wanted) {
        const recorded = wanted === undefined ? "the recording has ended" : `0x${hex(wanted)} was recorded`;
        throw difference(
          `the ${listensTo}'s byte ${received} is 0x${hex(byte)}, ${recorded}`,
          received,
          wanted,
          byte,
        );
      }
      received++;
    }
  }

  const readable = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        output = controller;
      },
      async pull() {
        while (!over && !readableEnded) {
          while (turn < turns.length && turns[turn]!.end <= sent) turn++;
          const next = turns[turn];
          if (next && next.after <= received) {
            const end = Math.min(next.end, sent + chunkSize);
            // A copy, since a chunk belongs to its reader.
            output.enqueue(said.slice(sent, end));
            sent = end;
            return progress();
          }
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      },
      cancel(reason) {
        if (sent < said.byteLength) {
          fail(reason === undefined || reason instanceof Ended ? missing("it stopped reading") : reason);
        } else if (!readableEnded) {
          readableEnded = true;
          wake?.();
          endOne();
        }
      },
    },
    { highWaterMark: 0 },
  );

  function endWritable(reason?: unknown) {
    if (received < expected.byteLength) {
      fail(reason === undefined || reason instanceof Ended ? missing("it ended") : reason);
    } else endOne();
  }

  const writable = new WritableStream<Uint8Array>({
    start(controller) {
      input = controller;
    },
    async write(chunk) {
      try {
        listen(chunk);
      } catch (error) {
        fail(error);
        throw error;
      }
      progress();
      wake?.();
    },
    close: () => endWritable(),
    abort: (reason) => endWritable(reason),
  });

  progress();
  return {
    readable,
    writable,
    done: done.promise,
    closed: closed.promise,
    close(reason) {
      if (over) return;
      if (reason !== undefined && !(reason instanceof Ended)) return fail(reason);
      if (!isComplete()) return fail(missing("the transport was closed"));
      over = true;
      closed.resolve();
      tryClose(output);
      tryError(input, new Ended());
    },
  };
}

/**
 * Replays a conversation to a layer from bytes to bytes: plays one side into it, and compares what comes out with what the
 * other side said.
 *
 *     await replayLayer(nbdServer(memoryExport(image)), conversation, { as: "client", chunkSize: 1 });
 *
 * @throws ReplayError at the first difference, also if the layer ends early or says more
 * @throws what the layer fails with
 */
export async function replayLayer(
  layer: Layer<Uint8Array, Uint8Array>,
  conversation: Conversation,
  options: ReplayOptions,
): Promise<void> {
  checkDuplex(layer, "the layer");
  const played = replay(conversation, options);
  await join(played, layer);
  await played.closed;
}

/** What a side says without waiting for the other side. */
interface Turn {
  bytes: Uint8Array;
  /** Its end, in bytes from the beginning of what this side says. */
  end: number;
  /** How many bytes the other side must have said before. */
  after: number;
}

function turnsOf(conversation: Conversation, side: Side): Turn[] {
  const turns: Turn[] = [];
  let end = 0;
  let after = 0;
  let parts: Uint8Array[] = [];

  function finish() {
    if (parts.length > 0) turns.push({ bytes: concat(parts), end, after });
    parts = [];
  }
  for (const { from, bytes } of conversation) {
    if (from === side) {
      parts.push(bytes);
      end += bytes.byteLength;
    } else {
      finish();
      after += bytes.byteLength;
    }
  }
  finish();
  return turns;
}

/** The line that the byte at `offset` of these messages was read from. Past the end, the last line. */
function lineAt(messages: readonly Message[], offset: number): number | undefined {
  let end = 0;
  for (const { bytes, line } of messages) {
    end += bytes.byteLength;
    if (offset < end) return line;
  }
  return messages.at(-1)?.line;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
