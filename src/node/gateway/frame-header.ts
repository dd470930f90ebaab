/** Opcodes of a frame (RFC 6455, section 5.2). */
export const Opcode = { CONTINUATION: 0, BINARY: 2, PING: 9, PONG: 10 } as const;

/** What stands before the payload of a frame. */
export interface FrameHeader {
  /** Whether its message ends with it. */
  readonly isFinal: boolean;
  /** The three bits for extensions. */
  readonly reserved: number;
  readonly opcode: number;
  /** Bytes of payload; beyond 2^53 not exactly. */
  readonly length: number;
  /** The 4 bytes that the payload is masked with, as each client has to. */
  readonly key: Uint8Array | undefined;
}

/** The most bytes that a header has. */
export const LONGEST_HEADER = 14;

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
    key: bytes[1]! & 0x80 ? new Uint8Array(bytes.subarray(-4)) : undefined,
  };
}
