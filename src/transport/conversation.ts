import { checkType } from "../streams/check.ts";
import { concat } from "../streams/concat.ts";

/** One of the two sides of a conversation. The client is the side that asks. */
export type Side = "client" | "server";

export function otherSide(side: Side): Side {
  return side === "client" ? "server" : "client";
}

/** Bytes that one side said. */
export interface Message {
  from: Side;
  bytes: Uint8Array;
  /** What they mean, for people: one line or more. */
  comment?: string;
  /** The line of the text that they were read from; the first is 1. */
  line?: number;
}

/**
 * What two sides said, in order. As in a byte stream, borders between messages of one side mean nothing: such messages can be
 * joined and split.
 */
export type Conversation = Message[];

/** The text is not a conversation. */
export class ConversationError extends Error {
  override name = "ConversationError";
  /** The first line is 1. */
  readonly line: number;

  constructor(line: number, problem: string) {
    super(`line ${line}: ${problem}`);
    this.line = line;
  }
}

/** The longest conversation that is read, in bytes. A short text can stand for very many bytes. */
const MAX_BYTES = 1 << 28;

/** At least this many equal bytes are written as a run. */
const SHORTEST_RUN = 32;
const BYTES_A_LINE = 32;
const BYTES_A_WORD = 4;

const marks: Readonly<Record<Side, string>> = { client: "C", server: "S" };

/**
 * Reads the text of a conversation. Each line with bytes is a message:
 *
 *     # GO "" wants NAME, BLOCK_SIZE
 *     C 49484156 454f5054 00000007 0000000a 00000000 00020001 0003
 *     S 00000000 00006000 0003 00*124   # 24 KiB, then 124 zeroes
 *
 * `C` marks what the client says, `S` what the server says. Bytes are pairs of hexadecimal digits, in words of any length;
 * `00*124` is one byte 124 times. `#` begins a comment. The comment lines directly above a message are its `comment`.
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
      throw new ConversationError(line, `expected C, S or #, not "${mark}"`);
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

/** How many bytes a word stands for. Known before they are made, so that the limit holds. */
function lengthOf(word: string, line: number): number {
  const run = /^[0-9a-f]{2}\*([1-9][0-9]*)$/i.exec(word);
  if (run) return Number(run[1]);
  if (!/^[0-9a-f]+$/i.test(word)) throw new ConversationError(line, `expected bytes or a run, not "${word}"`);
  if (word.length % 2 !== 0) throw new ConversationError(line, `"${word}" has an odd number of digits`);
  return word.length / 2;
}

function bytesOf(word: string, length: number): Uint8Array {
  if (word[2] === "*") return new Uint8Array(length).fill(Number.parseInt(word.slice(0, 2), 16));
  return Uint8Array.from({ length }, (_, i) => Number.parseInt(word.slice(2 * i, 2 * i + 2), 16));
}

/** Writes a message as `parseConversation` reads it: its comment, then lines of bytes. */
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

/** How many equal bytes begin at `at`. */
function runAt(bytes: Uint8Array, at: number): number {
  let end = at + 1;
  while (end < bytes.byteLength && bytes[end] === bytes[at]) end++;
  return end - at;
}
