import { checkType } from "../streams/check.ts";
import { concat } from "../streams/concat.ts";

/** One of the two ends of a conversation. The client is the one that connects, or asks. */
export type Side = "client" | "server";

/** The other one of the two. */
export function otherSide(side: Side): Side {
  return side === "client" ? "server" : "client";
}

/** Some bytes that one side said. */
export interface Message {
  from: Side;
  bytes: Uint8Array;
  /** What they mean, for people: a line or more. */
  comment?: string;
  /** The line of the text that they were read from, counted from 1. */
  line?: number;
}

/**
 * What two sides said, in order. Where one message ends and the next begins means no more than in a byte stream:
 * consecutive messages of one side can be joined and split.
 */
export type Conversation = Message[];

/** The text is no conversation. */
export class ConversationError extends Error {
  override name = "ConversationError";
  /** Counted from 1. */
  readonly line: number;

  constructor(line: number, problem: string) {
    super(`line ${line}: ${problem}`);
    this.line = line;
  }
}

/** The longest conversation that is read, in bytes: a short text can stand for very many. */
const MAX_BYTES = 1 << 28;

/** Equal bytes from this many on are written as a run. */
const SHORTEST_RUN = 32;
const BYTES_A_LINE = 32;
const BYTES_A_WORD = 4;

const marks: Readonly<Record<Side, string>> = { client: "C", server: "S" };

/**
 * Reads the text of a conversation. Each line that says something is a message:
 *
 *     # GO "" wants NAME, BLOCK_SIZE
 *     C 49484156 454f5054 00000007 0000000a 00000000 00020001 0003
 *     S 00000000 00006000 0003 00*124   # 24 KiB, then 124 zeroes
 *
 * `C` marks what the client says to the server, `S` what the server says to the client. Bytes are pairs of
 * hexadecimal digits, in words of any number of them; `00*124` is one byte 124 times. `#` begins a comment; those
 * on lines of their own right above a message are its `comment`.
 *
 * @throws ConversationError at anything else, with the number of the line
 */
export function parseConversation(text: string): Conversation {
  checkType(text, "the text of a conversation", "string");
  const conversation: Conversation = [];
  let comments: string[] = [];
  let total = 0;
  text.split("\n").forEach((content, index) => {
    const line = index + 1;
    const [, spoken = "", comment] = /^([^#]*)(?:#\s?(.*))?$/s.exec(content)!;
    const [mark, ...words] = spoken.split(/\s+/).filter((word) => word !== "");
    if (mark === undefined) {
      if (comment === undefined) comments = [];
      else comments.push(comment.trimEnd());
      return;
    }
    if (mark !== marks.client && mark !== marks.server) {
      throw new ConversationError(line, `"${mark}" where C, S or # was expected`);
    }
    if (words.length === 0) throw new ConversationError(line, `no bytes after ${mark}`);
    const lengths = words.map((word) => lengthOf(word, line));
    for (const length of lengths) total += length;
    if (total > MAX_BYTES) throw new ConversationError(line, `more than ${MAX_BYTES} bytes`);
    conversation.push({
      from: mark === marks.client ? "client" : "server",
      bytes: concat(words.map((word, i) => bytesOf(word, lengths[i]!))),
      ...(comments.length > 0 && { comment: comments.join("\n") }),
      line,
    });
    comments = [];
  });
  return conversation;
}

/** How many bytes a word stands for, so that no more are made than are allowed. */
function lengthOf(word: string, line: number): number {
  const run = /^[0-9a-f]{2}\*([1-9][0-9]*)$/i.exec(word);
  if (run) return Number(run[1]);
  if (!/^[0-9a-f]+$/i.test(word)) throw new ConversationError(line, `"${word}" is neither bytes nor a run`);
  if (word.length % 2 !== 0) throw new ConversationError(line, `"${word}" has half a byte`);
  return word.length / 2;
}

function bytesOf(word: string, length: number): Uint8Array {
  if (word[2] === "*") return new Uint8Array(length).fill(Number.parseInt(word.slice(0, 2), 16));
  return Uint8Array.from({ length }, (_, i) => Number.parseInt(word.slice(2 * i, 2 * i + 2), 16));
}

/** Writes a message as `parseConversation` reads it: its comment, then one line or more. */
export function formatMessage({ from, bytes, comment }: Message): string {
  let text = "";
  for (const words of comment?.split("\n") ?? []) text += `# ${words}`.trimEnd().concat("\n");
  for (const line of linesOf(bytes)) text += `${marks[from]} ${line}\n`;
  return text;
}

/** Writes a conversation as `parseConversation` reads it. */
export function formatConversation(conversation: Iterable<Message>): string {
  let text = "";
  for (const message of conversation) text += formatMessage(message);
  return text;
}

function* linesOf(bytes: Uint8Array): Generator<string> {
  let line = "";
  let length = 0;
  for (let at = 0; at < bytes.byteLength; ) {
    const run = runAt(bytes, at);
    if (run >= SHORTEST_RUN) {
      yield `${line}${length > 0 ? " " : ""}${hex(bytes[at]!)}*${run}`;
      at += run;
      line = "";
      length = 0;
      continue;
    }
    if (length === BYTES_A_LINE) {
      yield line;
      line = "";
      length = 0;
    }
    line += (length > 0 && length % BYTES_A_WORD === 0 ? " " : "") + hex(bytes[at++]!);
    length++;
  }
  if (length > 0) yield line;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}

/** How many equal bytes there are from `at` on. */
function runAt(bytes: Uint8Array, at: number): number {
  let end = at + 1;
  while (end < bytes.byteLength && bytes[end] === bytes[at]) end++;
  return end - at;
}
