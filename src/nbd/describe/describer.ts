import { ByteQueue } from "../../streams/byte-queue.ts";
import { concat } from "../../streams/concat.ts";
import type { Parser } from "../../streams/parse.ts";
import {
  NBD_EXTENDED_REPLY_MAGIC,
  NBD_EXTENDED_REQUEST_MAGIC,
  NBD_REQUEST_MAGIC,
  NBD_SIMPLE_REPLY_MAGIC,
  NBD_STRUCTURED_REPLY_MAGIC,
  Option,
} from "../constants.ts";
import { ProtocolError } from "../error.ts";
import { ExtendedReply, Request, StructuredReply } from "../messages.ts";
import { clientFlags, exportNameReply, greeting, option, optionReply } from "./handshake.ts";
import { maskKeys } from "./masked.ts";
import { type Meaning, number, type Session, whole } from "./meaning.ts";
import { chunk, extendedRequest, request, simpleReply } from "./transmission.ts";

/** Bytes of one side of a conversation, and what they mean. */
export interface Described {
  from: "client" | "server";
  bytes: Uint8Array;
  comment?: string;
}

/**
 * Cuts an NBD conversation into messages, and says in the protocol's words what each means:
 *
 *     const describer = new Describer();
 *     const sink = (message: Message) => log(describer.push(message));
 *
 * It holds incomplete headers only; data is passed on as it comes. After the first message of a side that it does not
 * understand, it passes the bytes of that side on without comments. The keys of gateways are masked, in the bytes too.
 */
export class Describer {
  readonly #session: Session = { noZeroes: false, options: [], requests: new Map() };
  readonly #client = new OneSide("client", clientMessages(this.#session));
  readonly #server = new OneSide("server", serverMessages(this.#session));

  /** Takes the next bytes of one side, in chunks of any size. Returns the messages, or parts of data, in them. */
  push(message: Pick<Described, "from" | "bytes">): Described[] {
    return [...this.each(message)];
  }

  /** The same, one at a time. All must be taken before more bytes are pushed. */
  each({ from, bytes }: Pick<Described, "from" | "bytes">): Iterable<Described> {
    return (from === "client" ? this.#client : this.#server).push(bytes);
  }

  /** To be called when the conversation has ended. Returns what is incomplete. */
  end(): Described[] {
    return [...this.#client.end(), ...this.#server.end()];
  }
}

class OneSide {
  readonly #from: Described["from"];
  readonly #messages: Iterator<Parser<Meaning>>;
  readonly #queue = new ByteQueue();
  /** The current message: its parser, how many bytes the parser needs next, and what it has taken. */
  #parser: Parser<Meaning> | undefined;
  #wanted = 0;
  #taken: Uint8Array[] = [];
  /** How many bytes of data still follow. */
  #data = 0;
  #understood = true;

  constructor(from: Described["from"], messages: Iterator<Parser<Meaning>>) {
    this.#from = from;
    this.#messages = messages;
  }

  *push(bytes: Uint8Array): Generator<Described> {
    // A copy, since the caller may use the chunk again while bytes of it wait here.
    this.#queue.push(bytes.slice());
    while (this.#queue.length > 0) {
      if (!this.#understood) yield this.#take(this.#queue.length);
      else if (this.#data > 0) {
        const length = Math.min(this.#data, this.#queue.length);
        this.#data -= length;
        yield this.#take(length);
      } else {
        const message = this.#advance();
        if (!message) break;
        yield message;
      }
    }
  }

  end(): Described[] {
    const left = concat([...this.#taken, this.#queue.take(this.#queue.length)]);
    this.#taken = [];
    if (this.#from === "client") maskKeys(left);
    return left.byteLength > 0 ? [{ from: this.#from, bytes: left, comment: "incomplete" }] : [];
  }

  #take(length: number): Described {
    return { from: this.#from, bytes: this.#queue.take(length) };
  }

  /** Goes on with the current message. Returns it once it is complete. */
  #advance(): Described | undefined {
    try {
      if (!this.#parser) {
        this.#parser = this.#messages.next().value as Parser<Meaning>;
        this.#wanted = this.#parser.next().value as number;
      }
      while (this.#queue.length >= this.#wanted) {
        const bytes = this.#queue.take(this.#wanted);
        this.#taken.push(bytes);
        const step = this.#parser.next(bytes);
        if (!step.done) {
          this.#wanted = step.value;
          continue;
        }
        this.#parser = undefined;
        this.#data = step.value.data ?? 0;
        return { from: this.#from, bytes: this.#flush(), comment: step.value.comment };
      }
      return undefined;
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#understood = false;
      return { from: this.#from, bytes: this.#flush(), comment: `not understood: ${error.message}` };
    }
  }

  #flush(): Uint8Array {
    const bytes = concat(this.#taken);
    this.#taken = [];
    return bytes;
  }
}

function* clientMessages(session: Session): Generator<Parser<Meaning>, never> {
  yield clientFlags(session);
  for (;;) yield optionOrRequest(session);
}

function* serverMessages(session: Session): Generator<Parser<Meaning>, never> {
  yield greeting();
  for (;;) yield session.options[0] === Option.EXPORT_NAME ? exportNameReply(session) : anyReply(session);
}

function* optionOrRequest(session: Session): Parser<Meaning> {
  const magic = yield 4;
  const value = number(magic);
  if (value === NBD_REQUEST_MAGIC) return request(Request.decode(yield* whole(magic, Request.size)), session);
  if (value === NBD_EXTENDED_REQUEST_MAGIC) return yield* extendedRequest(magic, session);
  return yield* option(magic, session);
}

function* anyReply(session: Session): Parser<Meaning> {
  const magic = yield 4;
  const value = number(magic);
  if (value === NBD_SIMPLE_REPLY_MAGIC) return yield* simpleReply(magic, session);
  if (value === NBD_STRUCTURED_REPLY_MAGIC) {
    return yield* chunk(StructuredReply.decode(yield* whole(magic, StructuredReply.size)), session);
  }
  if (value === NBD_EXTENDED_REPLY_MAGIC) {
    return yield* chunk(ExtendedReply.decode(yield* whole(magic, ExtendedReply.size)), session);
  }
  return yield* optionReply(magic, session);
}
