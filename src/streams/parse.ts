import { ByteQueue } from "./byte-queue.ts";
import type { Layer } from "./duplex.ts";
import { WritableStream } from "./runtime.ts";
import { transform } from "./transform.ts";

/**
 * A parser of one message: a synchronous generator that yields the number of bytes it needs next, is given
 * exactly these, and returns the message. The bytes may be a view into what arrived.
 */
export type Parser<T> = Generator<number, T, Uint8Array>;

/** The bytes ended inside a message. */
export class UnexpectedEndError extends Error {
  override name = "UnexpectedEndError";
}

/** One parser at work on a queue of bytes that fills in its own time. */
export class Parsing<T> {
  readonly #parser: Parser<T>;
  readonly #name: string;
  #step: IteratorResult<number, T>;
  #started = false;

  /** @param name what is being parsed, for the error message */
  constructor(parser: Parser<T>, name = "message") {
    this.#parser = parser;
    this.#name = name;
    this.#step = parser.next();
  }

  /** How many bytes it needs next. */
  get need(): number {
    return this.#step.done ? 0 : this.#step.value;
  }

  /**
   * Goes on as far as the queue's bytes last. Returns the result once the message is complete; never takes a
   * byte beyond it.
   * @throws what the parser throws
   */
  advance(queue: ByteQueue): { value: T } | undefined {
    while (!this.#step.done) {
      const need = this.#step.value;
      if (queue.length < need) return undefined;
      this.#started = true;
      this.#step = this.#parser.next(queue.take(need));
    }
    return { value: this.#step.value };
  }

  /**
   * The bytes have ended: fine between two messages, an error inside one.
   * @throws UnexpectedEndError
   */
  end(queue: ByteQueue): void {
    if (!this.#started && queue.length === 0) return;
    throw new UnexpectedEndError(
      `the data ended inside a ${this.#name}: ${queue.length} bytes of the next ${this.need} were there`,
    );
  }
}

/** Cuts messages out of bytes that come in chunks. */
class Messages<T> {
  readonly #queue = new ByteQueue();
  readonly #begin: () => Parser<T>;
  readonly #name: string | undefined;
  /** The message that has begun, or the next one once it is looked at. */
  #current: Parsing<T> | undefined;

  constructor(begin: () => Parser<T>, name: string | undefined) {
    this.#begin = begin;
    this.#name = name;
  }

  get #parsing(): Parsing<T> {
    this.#current ??= new Parsing(this.#begin(), this.#name);
    return this.#current;
  }

  /** How many bytes the message needs next. */
  get need(): number {
    return this.#parsing.need;
  }

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk);
  }

  /**
   * The next message, once it is complete.
   * @throws what the parser throws
   */
  take(): { value: T } | undefined {
    const message = this.#parsing.advance(this.#queue);
    if (message) this.#current = undefined;
    return message;
  }

  /** @throws UnexpectedEndError unless the bytes end between two messages */
  end(): void {
    this.#parsing.end(this.#queue);
  }
}

export interface ParseOptions<T> {
  /** What a message is called in error messages. */
  name?: string;
  /**
   * Asked before the bytes that a message needs next are collected, where they are more than came with this chunk:
   * a promise makes the layer wait with that. It is asked once the consumer has dealt with the messages before, as
   * what it waits for may be what these messages wait for too.
   */
  admit?(length: number): Promise<void> | undefined;
  /** Whether this message is the last one: the layer ends with it, whatever else was sent. */
  isLast?(message: T): boolean;
}

/**
 * A layer from bytes to messages: each chunk out is the array of all messages that a chunk in completed.
 *
 * `next` makes the parser of the next message. An end of the bytes between messages ends the layer, one inside
 * a message fails it with UnexpectedEndError, as does whatever the parser throws. Messages that were complete
 * before a bad one are handed on first.
 */
export function parse<T>(next: () => Parser<T>, options: ParseOptions<T> = {}): Layer<Uint8Array, T[]> {
  const incoming = new Messages(next, options.name);
  /** The need that `admit` was last asked about in this message. */
  let asked: number | undefined;
  const { admit } = options;

  /** Asks `admit` about the bytes that the message needs next, once for each such need. */
  function ask(): Promise<void> | undefined {
    if (!admit || incoming.need === asked) return undefined;
    asked = incoming.need;
    return admit(asked);
  }

  return transform<Uint8Array, T[]>({
    // The messages that were handed on have then been dealt with when the consumer has taken them.
    lockstep: admit !== undefined,
    transform(chunk, controller) {
      incoming.push(chunk);
      const messages: T[] = [];
      try {
        for (let message = incoming.take(); message; message = incoming.take()) {
          asked = undefined;
          messages.push(message.value);
          if (options.isLast?.(message.value)) {
            controller.enqueue(messages);
            controller.end();
            return;
          }
        }
      } catch (error) {
        // A failure drops what is queued, so it waits until these messages were taken.
        if (messages.length === 0) throw error;
        controller.enqueue(messages);
        return controller.taken().then(() => {
          throw error;
        });
      }
      if (messages.length === 0) return ask();
      controller.enqueue(messages);
      return admit && controller.taken().then(ask);
    },
    flush() {
      incoming.end();
    },
  });
}

/**
 * What `parse` is for those who take each message at once: the end of a pipe, by which a chunk is handed on once less.
 * It fails as `parse` does, and with what `take` throws.
 */
export function parseInto<T>(
  next: () => Parser<T>,
  take: (message: T) => void,
  { name }: Pick<ParseOptions<T>, "name"> = {},
): WritableStream<Uint8Array> {
  const incoming = new Messages(next, name);
  return new WritableStream<Uint8Array>({
    write(chunk) {
      incoming.push(chunk);
      for (let message = incoming.take(); message; message = incoming.take()) take(message.value);
    },
    close() {
      incoming.end();
    },
  });
}
