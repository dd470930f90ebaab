/** The numbers of the protocol under its names (proto.md, "Values"). */

/** "NBDMAGIC" */
export const NBD_MAGIC = 0x4e42444d41474943n;
/** "IHAVEOPT" */
export const NBD_OPTS_MAGIC = 0x49484156454f5054n;
/** Sent in place of NBD_OPTS_MAGIC by a server with the oldstyle handshake. */
export const NBD_CLISERV_MAGIC = 0x00420281861253n;
export const NBD_REP_MAGIC = 0x0003e889045565a9n;
export const NBD_REQUEST_MAGIC = 0x25609513;
export const NBD_SIMPLE_REPLY_MAGIC = 0x67446698;
export const NBD_STRUCTURED_REPLY_MAGIC = 0x668e33ef;
export const NBD_EXTENDED_REQUEST_MAGIC = 0x21e41c71;
export const NBD_EXTENDED_REPLY_MAGIC = 0x6e8a278c;

/** Handshake flags of the server. The client's flags have the same bits. */
export const HandshakeFlag = {
  FIXED_NEWSTYLE: 1 << 0,
  NO_ZEROES: 1 << 1,
} as const;

export const TransmissionFlag = {
  HAS_FLAGS: 1 << 0,
  READ_ONLY: 1 << 1,
  SEND_FLUSH: 1 << 2,
  SEND_FUA: 1 << 3,
  ROTATIONAL: 1 << 4,
  SEND_TRIM: 1 << 5,
  SEND_WRITE_ZEROES: 1 << 6,
  SEND_DF: 1 << 7,
  CAN_MULTI_CONN: 1 << 8,
  SEND_RESIZE: 1 << 9,
  SEND_CACHE: 1 << 10,
  SEND_FAST_ZERO: 1 << 11,
  BLOCK_STATUS_PAYLOAD: 1 << 12,
} as const;

export const Option = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  STARTTLS: 5,
  INFO: 6,
  GO: 7,
  STRUCTURED_REPLY: 8,
  LIST_META_CONTEXT: 9,
  SET_META_CONTEXT: 10,
  EXTENDED_HEADERS: 11,
} as const;

/** Option reply types. Errors have bit 31 set. */
export const Reply = {
  ACK: 1,
  SERVER: 2,
  INFO: 3,
  META_CONTEXT: 4,
  ERR_UNSUP: 0x80000001,
  ERR_POLICY: 0x80000002,
  ERR_INVALID: 0x80000003,
  ERR_PLATFORM: 0x80000004,
  ERR_TLS_REQD: 0x80000005,
  ERR_UNKNOWN: 0x80000006,
  ERR_SHUTDOWN: 0x80000007,
  ERR_BLOCK_SIZE_REQD: 0x80000008,
  ERR_TOO_BIG: 0x80000009,
  ERR_EXT_HEADER_REQD: 0x8000000a,
} as const;

/** Information types of NBD_REP_INFO. */
export const Info = {
  EXPORT: 0,
  NAME: 1,
  DESCRIPTION: 2,
  BLOCK_SIZE: 3,
} as const;

export const Command = {
  READ: 0,
  WRITE: 1,
  DISC: 2,
  FLUSH: 3,
  TRIM: 4,
  CACHE: 5,
  WRITE_ZEROES: 6,
  BLOCK_STATUS: 7,
} as const;

export const CommandFlag = {
  FUA: 1 << 0,
  NO_HOLE: 1 << 1,
  DF: 1 << 2,
  REQ_ONE: 1 << 3,
  FAST_ZERO: 1 << 4,
  PAYLOAD_LEN: 1 << 5,
} as const;

/** Flags of the chunks of a structured or extended reply. */
export const ChunkFlag = {
  DONE: 1 << 0,
} as const;

/** Types of the chunks of a structured or extended reply. Errors have bit 15 set. */
export const ChunkType = {
  NONE: 0,
  OFFSET_DATA: 1,
  OFFSET_HOLE: 2,
  BLOCK_STATUS: 5,
  BLOCK_STATUS_EXT: 6,
  ERROR: 0x8001,
  ERROR_OFFSET: 0x8002,
} as const;

/** The states of an extent in the metadata context `base:allocation`. */
export const Allocation = {
  HOLE: 1 << 0,
  ZERO: 1 << 1,
} as const;

/** The only metadata context that is supported (proto.md, "`base:allocation` metadata context"). */
export const BASE_ALLOCATION = "base:allocation";

/** The longest string that the protocol allows, in bytes (proto.md, "Strings" in "Conventions"). */
export const MAX_STRING = 4096;

/** The longest payload that every server should accept, in bytes (proto.md, "Size constraints"). */
export const MAX_PAYLOAD = 1 << 25;

/** The longest request or reply with such a payload, in bytes, with room for any header. */
export const LONGEST_MESSAGE = MAX_PAYLOAD + 64;

/** The name of a value in one of the tables above, for example "READ", or its number if it has none. */
export function nameOf(table: Readonly<Record<string, number>>, value: number): string {
  for (const [name, number] of Object.entries(table)) if (number === value) return name;
  return value > 0xffff ? `0x${value.toString(16)}` : String(value);
}

/** The names of the flags that are set, by one of the tables above: for example "READ_ONLY SEND_FLUSH", or "none". */
export function flagNames(table: Readonly<Record<string, number>>, flags: number): string {
  const names: string[] = [];
  let unknown = flags;
  for (const [name, flag] of Object.entries(table)) {
    if (!(flags & flag)) continue;
    names.push(name);
    unknown &= ~flag;
  }
  if (unknown !== 0) names.push(`0x${(unknown >>> 0).toString(16)}`);
  return names.join(" ") || "none";
}
