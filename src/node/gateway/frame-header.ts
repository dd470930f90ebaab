import { TEXT_REFUSED } from "../../transport/websocket.ts";

/** Opcodes of a frame (RFC 6455, section 5.2). */
export const Opcode = { CONTINUATION: 0, TEXT: 1, BINARY: 2, CLOSE: 8, PING: 9, PONG: 10 } as const;

/** What stands before the payload of a frame. */
export interface FrameHeader {
  /** Whether its message ends with it. */
  readonly isFinal: boolean;
  /** The three bits for extensions. */
  readonly reserved: number;
  readonly opcode: number;
  /** Bytes of payload; beyond 2^53 not exactly. */
  readonly length: number;
  /** Whether the length is written in as few bytes as it can be. */
  readonly isShortest: boolean;
  /** The 4 bytes that the payload is masked with, as each client has to. */
  readonly key: Uint8Array | undefined;
}

/** The most bytes that a header has. */
export const LONGEST_HEADER = 14;

/** The longest payload of a frame that is not part of a message (RFC 6455, section 5.5). */
export const LONGEST_CONTROL = 125;

/** How many bytes a header has of which `bytes` are the first `known`. */
export function headerLength(bytes: Uint8Array, known: number): number {
  if (known < 2) return 2;
  const length = bytes[1]! & 0x7f;
  return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + (bytes[1]! & 0x80 ? 4 : 0);
}

/** Reads a header, all of whose bytes are there (RFC 6455, section 5.2). */
export function decodeFrameHeader(bytes: Uint8Array): FrameHeader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const short = bytes[1]! & 0x7f;
  const length = short === 127 ? Number(view.getBigUint64(2)) : short === 126 ? view.getUint16(2) : short;
  return {
    isFinal: (bytes[0]! & 0x80) !== 0,
    reserved: bytes[0]! & 0x70,
    opcode: bytes[0]! & 0x0f,
    length,
    isShortest: short === 127 ? length > 0xffff : short !== 126 || length > 125,
    key: bytes[1]! & 0x80 ? new Uint8Array(bytes.subarray(-4)) : undefined,
  };
}

/** Why a connection cannot go on after the header of a frame: words for people, and the code of the close frame. */
export class FrameError extends Error {
  override name = "FrameError";
  /** The close code (RFC 6455, section 7.4.1). */
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

const PROTOCOL_ERROR = 1002;
const UNSUPPORTED_DATA = 1003;
const TOO_BIG = 1009;

/**
 * What is wrong with a frame that a client has sent, by its header alone; undefined where it may be taken.
 *
 * @param isWithin whether a message has begun that has not ended yet
 * @param longest bytes in a frame
 */
export function faultOf(header: FrameHeader, isWithin: boolean, longest: number): FrameError | undefined {
  const violation = violationOf(header, isWithin);
  if (violation) return new FrameError(PROTOCOL_ERROR, `the other side sent a WebSocket frame ${violation}`);
  const { opcode, length } = header;
  if (opcode === Opcode.TEXT) return new FrameError(UNSUPPORTED_DATA, TEXT_REFUSED);
  if (length <= longest) return undefined;
  return new FrameError(TOO_BIG, `the other side sent a WebSocket frame of ${length} bytes`);
}

/** What is not as RFC 6455 has it (sections 5.2 to 5.5). */
function violationOf(
  { isFinal, reserved, opcode, length, isShortest, key }: FrameHeader,
  isWithin: boolean,
): string | undefined {
  if (reserved !== 0) return "with reserved bits set";
  if (!key) return "that is not masked";
  if (!isShortest) return "whose length is not in its shortest form";
  if (length >= 2 ** 63) return "whose length has its highest bit set";
  if (opcode >= Opcode.CLOSE && opcode <= Opcode.PONG) {
    if (!isFinal) return "of a control message in parts";
    return length > LONGEST_CONTROL ? `of a control message with ${length} bytes` : undefined;
  }
  if (opcode > Opcode.BINARY) return `of the unknown kind ${opcode}`;
  if ((opcode === Opcode.CONTINUATION) === isWithin) return undefined;
  return isWithin ? "of a new message within another one" : "that continues no message";
}
