/** The messages of the protocol, each declared once: the fixed part, as proto.md lays it out. */
import {
  NBD_MAGIC,
  NBD_OPTS_MAGIC,
  NBD_REP_MAGIC,
  NBD_REQUEST_MAGIC,
  NBD_SIMPLE_REPLY_MAGIC,
} from "./constants.ts";
import { byteCount, constant, type StructValue, struct, u16, u32, u64 } from "./struct.ts";

/** The server's first words. The second magic tells newstyle from oldstyle (proto.md, "Newstyle negotiation"). */
export const Greeting = struct("greeting", { magic: constant(u64, NBD_MAGIC), style: u64, flags: u16 });
export type Greeting = StructValue<typeof Greeting>;

/** The client's answer to the greeting. */
export const ClientFlags = struct("client flags", { flags: u32 });
export type ClientFlags = StructValue<typeof ClientFlags>;

/** Followed by `length` bytes of option data. */
export const OptionRequest = struct("option", {
  magic: constant(u64, NBD_OPTS_MAGIC),
  option: u32,
  length: u32,
});
export type OptionRequest = StructValue<typeof OptionRequest>;

/** Followed by `length` bytes of reply data. */
export const OptionReply = struct("option reply", {
  magic: constant(u64, NBD_REP_MAGIC),
  option: u32,
  type: u32,
  length: u32,
});
export type OptionReply = StructValue<typeof OptionReply>;

/** The answer to NBD_OPT_EXPORT_NAME, followed by 124 zeroes unless NO_ZEROES was negotiated. */
export const ExportNameReply = struct("reply to EXPORT_NAME", { size: byteCount, flags: u16 });
export type ExportNameReply = StructValue<typeof ExportNameReply>;

/** Followed by `length` bytes of payload if it is a WRITE (proto.md, "Request message"). */
export const Request = struct("request", {
  magic: constant(u32, NBD_REQUEST_MAGIC),
  flags: u16,
  type: u16,
  cookie: u64,
  offset: byteCount,
  length: u32,
});
export type Request = StructValue<typeof Request>;

/** Followed by the data if it answers a READ without error (proto.md, "Simple reply message"). */
export const SimpleReply = struct("simple reply", {
  magic: constant(u32, NBD_SIMPLE_REPLY_MAGIC),
  error: u32,
  cookie: u64,
});
export type SimpleReply = StructValue<typeof SimpleReply>;
