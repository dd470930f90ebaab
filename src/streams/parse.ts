import { ByteQueue } from "./byte-queue.ts";
import { checkType } from "./check.ts";
import type { Layer } from "./duplex.ts";
import type { ForOthers } from "./for-others.ts";
import { WritableStream } from "./runtime.ts";
import { type TransformController, transform } from "./transform.ts";
import { Turns } from "./turns.ts";

/**
 * A parser of one message: a synchronous generator that yields the number of bytes it needs next, is given
 * exactly these, and returns the message. The bytes may be a view into what arrived.
 */
export type Parser<T> = Generator<number, T, Uint8Array>;

/** The bytes ended inside a message. */
export class UnexpectedEndError extends Error implements ForOthers {
  override name = "UnexpectedEndError";

  get forOthers(): string {
    return this.message;
  }
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
   * @param turns counts each step of the parser; where it says that they are over, nothing more is taken
   * @throws what the parser throws
   */
  advance(queue: ByteQueue, turns?: Turns): { value: T } | undefined {
    while (!this.#step.done) {
      const need = this.#step.value;
      if (queue.length < need || turns?.isOver()) return undefined;
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

export interface ParseOptions<T> {
  /** What a message is called in error messages. */
  name?: string;
  /** Whether this message is the last one: what comes behind it is dropped. */
  isLast?(message: T): boolean;
}

export interface MessagesOptions<T> extends ParseOptions<T> {
  /** Asked about the bytes that a message needs next, where they are more than have come; once for each such need. */
  admit?(length: number): Promise<void> | undefined;
}

/** Cuts messages out of bytes that come in chunks. */
export class Messages<T> {
  readonly #queue = new ByteQueue();
  readonly #turns = new Turns();
  readonly #begin: () => Parser<T>;
  readonly #options: MessagesOptions<T>;
  /** The message that has begun, or the next one once it is looked at. */
  #current: Parsing<T> | undefined;
  /** The need that `admit` was last asked about in this message. */
  #asked: number | undefined;
  #isOver = false;

  /** @param begin makes the parser of the next message */
  constructor(begin: () => Parser<T>, options: MessagesOptions<T> = {}) {
    this.#begin = begin;
    this.#options = options;
  }

  get #parsing(): Parsing<T> {
    this.#current ??= new Parsing(this.#begin(), this.#options.name);
    return this.#current;
  }

  /** Whether the last message has been taken. */
  get isOver(): boolean {
    return this.#isOver;
  }

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk);
  }

  /**
   * The next message, once it is complete. Where there is none, `pause` says whether that is for lack of bytes.
   * @throws what the parser throws
   */
  take(): { value: T } | undefined {
    if (this.#isOver) return undefined;
    const message = this.#parsing.advance(this.#queue, this.#turns);
    if (!message) return undefined;
    this.#current = undefined;
    this.#asked = undefined;
    this.#isOver = this.#options.isLast?.(message.value) ?? false;
    return message;
  }

  /** What is to be waited for before more is taken, since others have to have their turn. */
  get pause(): Promise<void> | undefined {
    return this.#turns.next;
  }

  /** Whether, and how long, there is to be waited before more is pushed. */
  admit(): Promise<void> | undefined {
    const { admit } = this.#options;
    if (!admit) return undefined;
    const { need } = this.#parsing;
    if (need === this.#asked) return undefined;
    this.#asked = need;
    return admit(need);
  }

  /** @throws UnexpectedEndError unless the bytes end between two messages */
  end(): void {
    this.#parsing.end(this.#queue);
  }
}

/**
 * A layer from bytes to messages: each chunk out is the array of all messages that a chunk in completed.
 *
 * `next` makes the parser of the next message. An end of the bytes between messages ends the layer, one inside
 * a message fails it with UnexpectedEndError, as does whatever the parser throws. Messages that were complete
 * before a bad one are handed on first. With the last message the layer ends, whatever else was sent.
 */
export function parse<T>(next: () => Parser<T>, options: ParseOptions<T> = {}): Layer<Uint8Array, T[]> {
  checkType(next, "what makes a parser", "function");
  const incoming = new Messages(next, options);

  function handOn(messages: T[], controller: TransformController<T[]>): void {
    if (messages.length > 0) controller.enqueue(messages);
    if (incoming.isOver) controller.end();
  }

  async function fail(error: unknown, messages: T[], controller: TransformController<T[]>): Promise<never> {
    // A failure drops what is queued, so it waits until these messages were taken.
    if (messages.length > 0) {
      controller.enqueue(messages);
      await controller.taken();
    }
    throw error;
  }

  return transform<Uint8Array, T[]>({
    transform(chunk, controller) {
      incoming.push(chunk);
      const messages: T[] = [];
      try {
        const taking = takeAll(incoming, (message) => messages.push(message));
        if (!taking) return handOn(messages, controller);
        return taking.then(
          () => handOn(messages, controller),
          (error) => fail(error, messages, controller),
        );
      } catch (error) {
        return fail(error, messages, controller);
      }
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
  options: Pick<ParseOptions<T>, "name"> = {},
): WritableStream<Uint8Array> {
  const incoming = new Messages(next, options);
  return new WritableStream<Uint8Array>({
    write(chunk) {
      incoming.push(chunk);
      return takeAll(incoming, take);
    },
    close() {
      incoming.end();
    },
  });
}

/** Takes all messages that are there: at once, or in several turns where they are very many. */
function takeAll<T>(incoming: Messages<T>, take: (message: T) => void): Promise<void> | undefined {
  for (let message = incoming.take(); message; message = incoming.take()) take(message.value);
  return incoming.pause && inTurns(incoming, take);
}

async function inTurns<T>(incoming: Messages<T>, take: (message: T) => void): Promise<void> {
  while (incoming.pause) {
    await incoming.pause;
    for (let message = incoming.take(); message; message = incoming.take()) take(message.value);
  }
}
