import type { Dialogue } from "../../streams/negotiate.ts";
import type { Parser } from "../../streams/parse.ts";
import { concat } from "../../streams/payload.ts";
import { OptionReply, OptionRequest } from "../messages.ts";
import type { Negotiated } from "../transmission.ts";

/** The longest option data that is read, in bytes; the longest legal name and 30,000 information requests fit. */
const MAX_OPTION_DATA = 1 << 16;
const SKIP = 1 << 16;

/** The server's side of a handshake, as the options see it. */
export interface ServerHandshake {
  readonly dialogue: Dialogue;
  /** What the transmission phase will be like. */
  readonly negotiated: Negotiated;
  /** The export's own name; the name "" stands for it too. */
  readonly name: string;
  /** Whether the client asked to leave out the zeroes after the reply to EXPORT_NAME. */
  readonly noZeroes: boolean;
}

/** What an option leads to: the next option, the transmission phase, or the end of the session. */
export type OptionOutcome = "haggle" | "transmit" | "abort";

/** How the server answers one option. One option a file. */
export type OptionHandler = (data: Uint8Array, handshake: ServerHandshake) => Promise<OptionOutcome>;

/** An option as it came: without `data` where it was longer than any legal one, and was skipped. */
export interface ReceivedOption {
  option: number;
  data?: Uint8Array;
}

/** Parses an option of the client and its data. Data that is too long is skipped in small pieces, never held. */
export function* receivedOption(): Parser<ReceivedOption> {
  const { option, length } = OptionRequest.decode(yield OptionRequest.size);
  if (length <= MAX_OPTION_DATA) return { option, data: yield length };
  for (let left = length; left > 0; left -= SKIP) yield Math.min(left, SKIP);
  return { option };
}

/** Sends one reply of the server to an option. */
export function replyTo(
  { dialogue }: Pick<ServerHandshake, "dialogue">,
  option: number,
  type: number,
  data: Uint8Array = new Uint8Array(0),
): Promise<void> {
  return dialogue.write(concat([OptionReply.encode({ option, type, length: data.byteLength }), data]));
}

/** Sends an error reply with a message for people (proto.md, "Option reply types"). */
export function refuse(
  handshake: Pick<ServerHandshake, "dialogue">,
  option: number,
  type: number,
  message: string,
): Promise<void> {
  return replyTo(handshake, option, type, new TextEncoder().encode(message));
}

/** Sends an option of the client. */
export function sendOption(
  dialogue: Dialogue,
  option: number,
  data: Uint8Array = new Uint8Array(0),
): Promise<void> {
  return dialogue.write(concat([OptionRequest.encode({ option, length: data.byteLength }), data]));
}
