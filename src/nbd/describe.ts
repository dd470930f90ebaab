import { errnoName } from "../export/error.ts";
import { ByteQueue } from "../streams/byte-queue.ts";
import type { Parser } from "../streams/parse.ts";
import { concat } from "../streams/payload.ts";
import {
  Command,
  CommandFlag,
  flagNames,
  HandshakeFlag,
  Info,
  NBD_OPTS_MAGIC,
  NBD_REP_MAGIC,
  NBD_REQUEST_MAGIC,
  NBD_SIMPLE_REPLY_MAGIC,
  nameOf,
  Option,
  Reply,
  TransmissionFlag,
} from "./constants.ts";
import { ProtocolError } from "./error.ts";
import {
  ClientFlags,
  ExportNameReply,
  Greeting,
  OptionReply,
  OptionRequest,
  Request,
  SimpleReply,
} from "./messages.ts";
import { ZEROES } from "./option/export-name.ts";
import { decodeInfoRequest, InfoBlockSize, InfoExport } from "./option/go.ts";
import { ListedExport } from "./option/list.ts";
import { isError } from "./option/option-reply.ts";

/** Bytes of one side of a conversation, and what they mean. */
export interface Described {
  from: "client" | "server";
  bytes: Uint8Array;
  comment?: string;
}

/** Option data beyond this is not looked at. */
const MAX_DATA = 1 << 12;
/** Characters of a name or a message that are shown. */
const MAX_SHOWN = 200;

/** A message as its parser leaves it: what it means, and how many bytes of data follow. */
interface Meaning {
  comment: string;
  data?: number;
}

/** What one side says can only be told from what the other one said. */
interface Session {
  noZeroes: boolean;
  /** The options that wait for their last reply. */
  options: number[];
  requests: Map<bigint, Request>;
}

/**
 * Tells the messages of an NBD conversation apart and says what each means, in the protocol's words:
 *
 *     const describer = new Describer();
 *     const sink = (message: Message) => log(describer.push(message));
 *
 * It holds no more than the headers that are incomplete; data is passed on as it comes. From the first message of a
 * side that it does not understand, that side's bytes are passed on as they are.
 */
export class Describer {
  readonly #session: Session = { noZeroes: false, options: [], requests: new Map() };
  readonly #client = new OneSide("client", clientMessages(this.#session));
  readonly #server = new OneSide("server", serverMessages(this.#session));

  /** Takes the next bytes of one side, in chunks of any size. Returns the messages, or parts of data, that they complete. */
  push({ from, bytes }: Pick<Described, "from" | "bytes">): Described[] {
    return (from === "client" ? this.#client : this.#server).push(bytes);
  }

  /** The conversation has ended. Returns what is incomplete. */
  end(): Described[] {
    return [...this.#client.end(), ...this.#server.end()];
  }
}

class OneSide {
  readonly #from: Described["from"];
  readonly #messages: Iterator<Parser<Meaning>>;
  readonly #queue = new ByteQueue();
  /** The message at hand: its parser, what the parser wants next, and what it has taken. */
  #parser: Parser<Meaning> | undefined;
  #wanted = 0;
  #taken: Uint8Array[] = [];
  /** Bytes of data that still follow. */
  #data = 0;
  #understood = true;

  constructor(from: Described["from"], messages: Iterator<Parser<Meaning>>) {
    this.#from = from;
    this.#messages = messages;
  }

  push(bytes: Uint8Array): Described[] {
    // What waits here outlives the chunk, which is only lent.
    this.#queue.push(bytes.slice());
    const described: Described[] = [];
    while (this.#queue.length > 0) {
      if (!this.#understood) described.push(this.#take(this.#queue.length));
      else if (this.#data > 0) {
        const length = Math.min(this.#data, this.#queue.length);
        this.#data -= length;
        described.push(this.#take(length));
      } else {
        const message = this.#advance();
        if (!message) break;
        described.push(message);
      }
    }
    return described;
  }

  end(): Described[] {
    const left = concat([...this.#taken, this.#queue.take(this.#queue.length)]);
    this.#taken = [];
    return left.byteLength > 0 ? [{ from: this.#from, bytes: left, comment: "incomplete" }] : [];
  }

  #take(length: number): Described {
    return { from: this.#from, bytes: this.#queue.take(length) };
  }

  /** Goes on with the message at hand; undefined when it needs more bytes. */
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

function* greeting(): Parser<Meaning> {
  const { style, flags } = Greeting.decode(yield Greeting.size);
  if (style !== NBD_OPTS_MAGIC) throw new ProtocolError("a greeting that is not newstyle");
  return { comment: `greeting, ${flagNames(HandshakeFlag, flags)}` };
}

function* clientFlags(session: Session): Parser<Meaning> {
  const { flags } = ClientFlags.decode(yield ClientFlags.size);
  session.noZeroes = (flags & HandshakeFlag.NO_ZEROES) !== 0;
  return { comment: `client flags, ${flagNames(HandshakeFlag, flags)}` };
}

function* optionOrRequest(session: Session): Parser<Meaning> {
  const magic = yield 4;
  return number(magic) === NBD_REQUEST_MAGIC ? yield* request(magic, session) : yield* option(magic, session);
}

function* option(magic: Uint8Array, session: Session): Parser<Meaning> {
  startsWith(magic, NBD_OPTS_MAGIC, "client message");
  const { option, length } = OptionRequest.decode(concat([magic, yield OptionRequest.size - 4]));
  session.options.push(option);
  const name = nameOf(Option, option);
  if (length > MAX_DATA) return { comment: `${name}, ${length} bytes of data`, data: length };
  const data = length > 0 ? yield length : new Uint8Array(0);
  if (option === Option.EXPORT_NAME) return { comment: `${name} ${quote(data)}` };
  const asked = option === Option.GO || option === Option.INFO ? decodeInfoRequest(data) : undefined;
  if (asked) {
    const wanted = [...asked.wanted].map((type) => nameOf(Info, type)).join(", ");
    return {
      comment: `${name} ${JSON.stringify(asked.name ?? "(not UTF-8)")} wants ${wanted || "nothing more"}`,
    };
  }
  return { comment: length > 0 ? `${name}, ${length} bytes of data` : name };
}

function* request(magic: Uint8Array, session: Session): Parser<Meaning> {
  const request = Request.decode(concat([magic, yield Request.size - 4]));
  const { type, flags, cookie, offset, length } = request;
  if (type !== Command.DISC) session.requests.set(cookie, request);
  const range = type === Command.DISC || type === Command.FLUSH ? "" : ` ${length} bytes at ${offset}`;
  const flagged = flags ? `, flags ${flagNames(CommandFlag, flags)}` : "";
  const comment = `${nameOf(Command, type)}${range}, cookie ${cookieOf(cookie)}${flagged}`;
  return { comment, data: type === Command.WRITE ? length : 0 };
}

function* exportNameReply(session: Session): Parser<Meaning> {
  session.options.shift();
  const { size, flags } = ExportNameReply.decode(yield ExportNameReply.size);
  if (!session.noZeroes) yield ZEROES;
  return { comment: `reply to EXPORT_NAME: ${size} bytes, ${flagNames(TransmissionFlag, flags)}` };
}

function* anyReply(session: Session): Parser<Meaning> {
  const magic = yield 4;
  return number(magic) === NBD_SIMPLE_REPLY_MAGIC
    ? yield* simpleReply(magic, session)
    : yield* optionReply(magic, session);
}

function* optionReply(magic: Uint8Array, session: Session): Parser<Meaning> {
  startsWith(magic, NBD_REP_MAGIC, "server message");
  const { option, type, length } = OptionReply.decode(concat([magic, yield OptionReply.size - 4]));
  if (type === Reply.ACK || isError(type)) session.options.shift();
  const comment = `reply to ${nameOf(Option, option)}: ${nameOf(Reply, type)}`;
  if (length > MAX_DATA) return { comment: `${comment}, ${length} bytes of data`, data: length };
  if (length === 0) return { comment };
  const data = yield length;
  if (isError(type)) return { comment: `${comment}, ${quote(data)}` };
  if (type === Reply.INFO) return { comment: `${comment} ${information(data)}` };
  if (type === Reply.SERVER && length >= ListedExport.size) {
    const { nameLength } = ListedExport.decode(data);
    return {
      comment: `${comment} ${quote(data.subarray(ListedExport.size, ListedExport.size + nameLength))}`,
    };
  }
  return { comment: `${comment}, ${length} bytes of data` };
}

/** One NBD_REP_INFO. */
function information(data: Uint8Array): string {
  const type = data.byteLength < 2 ? -1 : data[0]! * 256 + data[1]!;
  if (type === Info.EXPORT && data.byteLength === InfoExport.size) {
    const { size, flags } = InfoExport.decode(data);
    return `EXPORT, ${size} bytes, ${flagNames(TransmissionFlag, flags)}`;
  }
  if (type === Info.BLOCK_SIZE && data.byteLength === InfoBlockSize.size) {
    const { minimum, preferred, maximum } = InfoBlockSize.decode(data);
    return `BLOCK_SIZE, minimum ${minimum}, preferred ${preferred}, maximum ${maximum}`;
  }
  if (type === Info.NAME || type === Info.DESCRIPTION)
    return `${nameOf(Info, type)} ${quote(data.subarray(2))}`;
  return `of type ${type}, ${data.byteLength} bytes of data`;
}

function* simpleReply(magic: Uint8Array, session: Session): Parser<Meaning> {
  const { error, cookie } = SimpleReply.decode(concat([magic, yield SimpleReply.size - 4]));
  const request = session.requests.get(cookie);
  if (!request) throw new ProtocolError(`a reply without a request, cookie ${cookieOf(cookie)}`);
  session.requests.delete(cookie);
  const what = `reply to ${nameOf(Command, request.type)}, cookie ${cookieOf(cookie)}`;
  if (error !== 0) return { comment: `${what}: ${errnoName(error)}` };
  if (request.type !== Command.READ) return { comment: what };
  return { comment: `${what}: ${request.length} bytes`, data: request.length };
}

function number(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

/** Checks the first half of a magic, before more is waited for. */
function startsWith(bytes: Uint8Array, magic: bigint, what: string) {
  const found = number(bytes);
  if (BigInt(found) === magic >> 32n) return;
  throw new ProtocolError(`a ${what} with the magic 0x${found.toString(16)}`);
}

function cookieOf(cookie: bigint): string {
  return `0x${cookie.toString(16)}`;
}

/** A string off the wire on one line. */
function quote(bytes: Uint8Array): string {
  const text = new TextDecoder().decode(bytes);
  return JSON.stringify(text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text);
}
