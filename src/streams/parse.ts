import { ByteQueue } from "./byte-queue.ts";
import { checkType } from "./check.ts";
import type { Layer } from "./duplex.ts";
import type { ForOthers } from "./for-others.ts";
import { WritableStream } from "./runtime.ts";
import { transform } from "./transform.ts";
import { Turns } from "./turns.ts";

/**
 * A parser of one message: a synchronous generator. It yields the number of bytes that it needs next, gets exactly these,
 * and returns the message. The bytes may be a view into a chunk that arrived.
 */
export type Parser<T> = Generator<number, T, Uint8Array>;

/** The bytes ended inside a message. */
export class UnexpectedEndError extends Error implements ForOthers {
  override name = "UnexpectedEndError";

  get forOthers(): string {
    return this.message;
  }
}

/** A parser at work on a queue of bytes. */
export class Parsing<T> {
  readonly #parser: Parser<T>;
  readonly #name: string;
  #step: IteratorResult<number, T>;
  #started = false;

  /** @param name the name of the message, for errors */
  constructor(parser: Parser<T>, name = "message") {
    this.#parser = parser;
    this.#name = name;
    this.#step = parser.next();
  }

  /** How many bytes the parser needs next. */
  get need(): number {
    return this.#step.done ? 0 : this.#step.value;
  }

  /**
   * Goes on as far as the bytes in the queue allow. Takes no byte beyond the message.
   * @param turns counts each step of the parser; nothing is taken while its turn is over
   * @returns the message once it is complete, else undefined
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
   * To be called when the bytes have ended.
   * @throws UnexpectedEndError if they ended inside the message
   */
  end(queue: ByteQueue): void {
    if (!this.#started && queue.length === 0) return;
    throw new UnexpectedEndError(
      `the data ended inside a ${this.#name}: ${queue.length} of the next ${this.need} bytes had come`,
    );
  }
}

export interface ParseOptions<T> {
  /** The name of a message, for errors. */
  name?: string;
  /** Whether this message is the last one. What follows it is dropped. */
  isLast?(message: T): boolean;
}

export interface MessagesOptions<T> extends ParseOptions<T> {
  /** Called once per shortfall with the number of bytes that the parser needs next. A promise holds up the writer. */
  admit?(length: number): Promise<void> | undefined;
}

/** Cuts chunks of bytes into messages. */
export class Messages<T> {
  readonly #queue = new ByteQueue();
  readonly #turns = new Turns();
  readonly #begin: () => Parser<T>;
  readonly #options: MessagesOptions<T>;
  /** The parser of the message that has begun, or of the next one. */
  #current: Parsing<T> | undefined;
  /** The number that `admit` was last called with for this message. */
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
   * The next message; undefined if it is not complete, or if `pause` must be awaited first.
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

  /** Set when it is the turn of other loops: resolves when `take` may be called again. */
  get pause(): Promise<void> | undefined {
    return this.#turns.next;
  }

  /** What to await before the next chunk is pushed. */
  admit(): Promise<void> | undefined {
    const { admit } = this.#options;
    if (!admit) return undefined;
    const { need } = this.#parsing;
    if (need === this.#asked) return undefined;
    this.#asked = need;
    return admit(need);
  }

  /** @throws UnexpectedEndError if the bytes ended inside a message */
  end(): void {
    this.#parsing.end(this.#queue);
  }
}

/**
 * A layer from bytes to messages: each chunk out is the array of the messages that a chunk in completed.
 *
 * `next` makes the parser of the next message. If the bytes end between two messages, the layer ends; if they end inside
 * one, it fails with UnexpectedEndError. It also fails with what a parser throws. Messages before a bad one are handed on
 * first. The layer ends after the last message and ignores what follows.
 */
export function parse<T>(next: () => Parser<T>, options: ParseOptions<T> = {}): Layer<Uint8Array, T[]> {
  checkType(next, "what makes a parser", "function");
  return parseMessages(new Messages(next, options));
}

/**
 * As `parse`, with `Messages` of one's own. No chunk is taken before their `admit` allows it.
 * @param accept asked about each message; where it has to be waited for, the messages before are handed on first
 */
export function parseMessages<T>(
  incoming: Messages<T>,
  accept?: (message: T) => Promise<void> | undefined,
): Layer<Uint8Array, T[]> {
  return transform<Uint8Array, T[]>({
    async transform(chunk, controller) {
      incoming.push(chunk);
      let messages: T[] = [];

      function handOn() {
        if (messages.length > 0) controller.enqueue(messages);
        messages = [];
      }

      try {
        for (;;) {
          const message = incoming.take();
          if (!message) {
            if (!incoming.pause) break;
            await incoming.pause;
            continue;
          }
          const accepted = accept?.(message.value);
          if (accepted) {
            handOn();
            await accepted;
          }
          messages.push(message.value);
        }
      } catch (error) {
        // A failure drops what is queued, so wait until the consumer has taken these messages.
        handOn();
        await controller.taken();
        throw error;
      }
      handOn();
      if (incoming.isOver) controller.end();
      else await incoming.admit();
    },
    flush() {
      incoming.end();
    },
  });
}

/**
 * The same as `parse`, as the end of a pipe: `take` is called with each message. That saves a stream. It fails as `parse`
 * does, and with what `take` throws.
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

/** Takes all messages that are complete: at once, or in several turns if there are very many. */
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
