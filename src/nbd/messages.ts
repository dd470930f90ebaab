/** The fixed parts of the messages, as in proto.md. Data of options and of their replies is in `option/`. */
import {
  NBD_EXTENDED_REPLY_MAGIC,
  NBD_EXTENDED_REQUEST_MAGIC,
  NBD_MAGIC,
  NBD_OPTS_MAGIC,
  NBD_REP_MAGIC,
  NBD_REQUEST_MAGIC,
  NBD_SIMPLE_REPLY_MAGIC,
  NBD_STRUCTURED_REPLY_MAGIC,
} from "./constants.ts";
import { byteCount, magic, type StructValue, struct, u16, u32, u64 } from "./struct.ts";

/** The server's first message. `style` tells newstyle from oldstyle (proto.md, "Newstyle negotiation"). */
export const Greeting = struct(
  "greeting",
  (field) => ({ style: field(u64), flags: field(u16) }),
  magic(u64, NBD_MAGIC),
);
export type Greeting = StructValue<typeof Greeting>;

/** The client's answer to the greeting. */
export const ClientFlags = struct("client flags", (field) => ({ flags: field(u32) }));
export type ClientFlags = StructValue<typeof ClientFlags>;

/** Followed by `length` bytes of option data. */
export const OptionRequest = struct(
  "option",
  (field) => ({ option: field(u32), length: field(u32) }),
  magic(u64, NBD_OPTS_MAGIC),
);
export type OptionRequest = StructValue<typeof OptionRequest>;

/** Followed by `length` bytes of reply data. */
export const OptionReply = struct(
  "option reply",
  (field) => ({ option: field(u32), type: field(u32), length: field(u32) }),
  magic(u64, NBD_REP_MAGIC),
);
export type OptionReply = StructValue<typeof OptionReply>;

/** The answer to NBD_OPT_EXPORT_NAME, followed by 124 zeroes unless NO_ZEROES was negotiated. */
export const ExportNameReply = struct("reply to EXPORT_NAME", (field) => ({
  size: field(byteCount),
  flags: field(u16),
}));
export type ExportNameReply = StructValue<typeof ExportNameReply>;

/** Followed by `length` bytes of payload if it is a WRITE (proto.md, "Request message"). */
export const Request = struct(
  "request",
  (field) => ({
    flags: field(u16),
    type: field(u16),
    cookie: field(u64),
    offset: field(byteCount),
    length: field(u32),
  }),
  magic(u32, NBD_REQUEST_MAGIC),
);
export type Request = StructValue<typeof Request>;

/** Followed by `length` bytes of payload if its flags have PAYLOAD_LEN (proto.md, "Extended request message"). */
export const ExtendedRequest = struct(
  "extended request",
  (field) => ({
    flags: field(u16),
    type: field(u16),
    cookie: field(u64),
    offset: field(byteCount),
    length: field(byteCount),
  }),
  magic(u32, NBD_EXTENDED_REQUEST_MAGIC),
);

/** Followed by the data if it answers a READ without error (proto.md, "Simple reply message"). */
export const SimpleReply = struct(
  "simple reply",
  (field) => ({ error: field(u32), cookie: field(u64) }),
  magic(u32, NBD_SIMPLE_REPLY_MAGIC),
);
export type SimpleReply = StructValue<typeof SimpleReply>;

/** One chunk of a reply, followed by `length` bytes of payload (proto.md, "Structured reply chunk message"). */
export const StructuredReply = struct(
  "structured reply",
  (field) => ({ flags: field(u16), type: field(u16), cookie: field(u64), length: field(u32) }),
  magic(u32, NBD_STRUCTURED_REPLY_MAGIC),
);
export type StructuredReply = StructValue<typeof StructuredReply>;

/** The same with extended headers; `offset` repeats the request's (proto.md, "Extended reply chunk message"). */
export const ExtendedReply = struct(
  "extended reply",
  (field) => ({
    flags: field(u16),
    type: field(u16),
    cookie: field(u64),
    offset: field(u64),
    length: field(byteCount),
  }),
  magic(u32, NBD_EXTENDED_REPLY_MAGIC),
);
export type ExtendedReply = StructValue<typeof ExtendedReply>;

/** The payload of NBD_REPLY_TYPE_OFFSET_DATA begins with it; the data follows. */
export const OffsetData = struct("OFFSET_DATA", (field) => ({ offset: field(byteCount) }));

/** The payload of NBD_REPLY_TYPE_OFFSET_HOLE. */
export const OffsetHole = struct("OFFSET_HOLE", (field) => ({
  offset: field(byteCount),
  length: field(u32),
}));

/** The payload of NBD_REPLY_TYPE_ERROR; followed by `messageLength` bytes for people. */
export const ErrorChunk = struct("ERROR", (field) => ({ error: field(u32), messageLength: field(u16) }));

/** Follows ERROR and its message in the payload of NBD_REPLY_TYPE_ERROR_OFFSET. */
export const ErrorOffset = struct("ERROR_OFFSET", (field) => ({ offset: field(byteCount) }));

/** The payload of NBD_REPLY_TYPE_BLOCK_STATUS begins with it; descriptors follow. */
export const BlockStatus = struct("BLOCK_STATUS", (field) => ({ context: field(u32) }));
export const BlockDescriptor = struct("descriptor", (field) => ({ length: field(u32), status: field(u32) }));

/** The payload of NBD_REPLY_TYPE_BLOCK_STATUS_EXT begins with it; `count` descriptors follow. */
export const ExtendedBlockStatus = struct("BLOCK_STATUS_EXT", (field) => ({
  context: field(u32),
  count: field(u32),
}));
export const ExtendedBlockDescriptor = struct("extended descriptor", (field) => ({
  length: field(byteCount),
  status: field(byteCount),
}));

/** The payload of a BLOCK_STATUS request begins with it; the ids of the contexts asked for follow, 32 bits each. */
export const BlockStatusPayload = struct("payload of BLOCK_STATUS", (field) => ({
  length: field(byteCount),
}));
