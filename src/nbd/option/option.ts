import { checkExport } from "../../export/check-export.ts";
import type { Export } from "../../export/export.ts";
import { checkObject } from "../../streams/check.ts";
import { concat } from "../../streams/concat.ts";
import type { Dialogue } from "../../streams/negotiate.ts";
import type { Parser } from "../../streams/parse.ts";
import { skip } from "../../streams/skip.ts";
import { TransmissionFlag } from "../constants.ts";
import { OptionReply, OptionRequest } from "../messages.ts";
import type { Negotiated } from "../transmission.ts";
import { flagsOf } from "../transmission-flags.ts";
import { checkName } from "./name.ts";

/** The longest option data that is read, in bytes: the longest legal name and 30,000 information requests fit. */
const MAX_OPTION_DATA = 1 << 16;

/** An export that a server offers. */
export interface OfferedExport {
  /** The name that clients ask for, up to 4,096 bytes of UTF-8. */
  name: string;
  /** A text for people, up to 4,096 bytes of UTF-8. */
  description?: string;
  target: Export;
}

/**
 * Checks the exports that a server is to offer.
 * @param isSeveral whether they were passed as a list, for the messages
 * @throws TypeError, RangeError
 */
export function checkOffered(exports: readonly OfferedExport[], isSeveral: boolean): void {
  if (exports.length === 0) throw new RangeError("a server needs at least one export");
  for (const [i, offered] of exports.entries()) {
    const what = isSeveral ? `export ${i}` : "the export";
    checkObject(offered, what);
    checkName(offered.name, `the name of ${what}`);
    checkName(offered.description ?? "", `the description of ${what}`);
    checkExport(offered.target, what);
  }
}

/** Answers what queries of LIST_META_CONTEXT it knows, each by telling the name of a metadata context; `introducing` makes one. */
export type OwnContexts = (
  queries: readonly string[],
  tell: (context: string) => Promise<void>,
) => Promise<void>;

export interface HandshakeOptions {
  /** Whether the transport leads to one client only, so that CAN_MULTI_CONN is not offered. Default false. */
  isSingle?: boolean;
  /** What the server says of itself to a gateway that asks, so that the gateway may go on over a new link. Default: nothing. */
  introduction?: OwnContexts | undefined;
}

/** The server's side of a handshake, as its options use it. */
export interface ServerHandshake extends Readonly<HandshakeOptions> {
  readonly dialogue: Dialogue;
  /** At least one. The first is the default export, which also has the name "". */
  readonly exports: readonly OfferedExport[];
  /** Whether the client asked to leave out the zeroes after the reply to EXPORT_NAME. */
  readonly noZeroes: boolean;
  /** What the client has negotiated so far. */
  headers: Negotiated["headers"];
  /** The name, as the client wrote it, of the export for which it selected `base:allocation`. */
  allocationOf: string | undefined;
}

/** The export that a client has chosen, and what was negotiated for it. */
export interface Chosen {
  readonly target: Export;
  readonly negotiated: Negotiated;
}

/** What an option leads to: the next option, the end of the session, or the transmission phase. */
export type OptionOutcome = "haggle" | "abort" | Chosen;

/** The id of `base:allocation` in this server. */
export const ALLOCATION_ID = 1;

/** The export with this name, or the default export for "". */
export function findExport(
  { exports }: Pick<ServerHandshake, "exports">,
  name: string | undefined,
): OfferedExport | undefined {
  return exports.find((offered) => offered.name === name) ?? (name === "" ? exports[0] : undefined);
}

/** What is negotiated if the client chooses this export now, by this name. */
export function chosen(
  { headers, allocationOf, isSingle }: Pick<ServerHandshake, "headers" | "allocationOf" | "isSingle">,
  { target }: OfferedExport,
  name: string | undefined,
): Chosen {
  const settled = {
    ...(headers && { headers }),
    ...(allocationOf !== undefined && allocationOf === name && { allocation: ALLOCATION_ID }),
  };
  const { size, blockSize } = target;
  const possible = flagsOf(target, settled);
  // nbdcopy, for example, connects four times if it may, and fails if it cannot.
  const flags = isSingle ? possible & ~TransmissionFlag.CAN_MULTI_CONN : possible;
  return { target, negotiated: { size, flags, ...(blockSize && { blockSize }), ...settled } };
}

/** How the server answers one option. Each option has a file of its own. */
export type OptionHandler = (data: Uint8Array, handshake: ServerHandshake) => Promise<OptionOutcome>;

/** An option that came. It has no `data` if that was longer than any legal data, and was skipped. */
export interface ReceivedOption {
  option: number;
  data?: Uint8Array;
}

/** Parses an option of the client and its data. Data that is too long is skipped in small pieces. */
export function* receivedOption(): Parser<ReceivedOption> {
  const { option, length } = OptionRequest.decode(yield OptionRequest.size);
  if (length <= MAX_OPTION_DATA) return { option, data: yield length };
  yield* skip(length);
  return { option };
}

/** Sends one reply of the server to an option. Its data is bytes and text, in order. */
export function replyTo(
  { dialogue }: Pick<ServerHandshake, "dialogue">,
  option: number,
  type: number,
  ...data: (Uint8Array | string)[]
): Promise<void> {
  const bytes = concat(
    data.map((part) => (typeof part === "string" ? new TextEncoder().encode(part) : part)),
  );
  return dialogue.write(concat([OptionReply.encode({ option, type, length: bytes.byteLength }), bytes]));
}

/** Sends an error reply with a message for people (proto.md, "Option reply types"). */
export function refuse(
  handshake: Pick<ServerHandshake, "dialogue">,
  option: number,
  type: number,
  message: string,
): Promise<void> {
  return replyTo(handshake, option, type, message);
}

/** Sends an option of the client. */
export function sendOption(
  dialogue: Dialogue,
  option: number,
  data: Uint8Array = new Uint8Array(0),
): Promise<void> {
  return dialogue.write(concat([OptionRequest.encode({ option, length: data.byteLength }), data]));
}
