/** The entry "nbd-proxy/protocol": the wire, for those who take NBD apart or put something between two of its layers. */
export { Errno, errnoName, isErrno } from "../export/error.ts";
export { type SamplePlace, sampled, samplePlaces } from "../export/samples.ts";
export {
  type BeginHandshakeOptions,
  type BegunHandshake,
  beginHandshake,
  type FinishHandshakeOptions,
} from "./client/begun-handshake.ts";
export { clientHandshake } from "./client/handshake.ts";
export {
  Allocation,
  BASE_ALLOCATION,
  ChunkFlag,
  ChunkType,
  Command,
  CommandFlag,
  flagNames,
  HandshakeFlag,
  Info,
  LONGEST_MESSAGE,
  MAX_PAYLOAD,
  MAX_STRING,
  NBD_CLISERV_MAGIC,
  NBD_EXTENDED_REPLY_MAGIC,
  NBD_EXTENDED_REQUEST_MAGIC,
  NBD_MAGIC,
  NBD_OPTS_MAGIC,
  NBD_REP_MAGIC,
  NBD_REQUEST_MAGIC,
  NBD_SIMPLE_REPLY_MAGIC,
  NBD_STRUCTURED_REPLY_MAGIC,
  nameOf,
  Option as OptionType,
  Reply as OptionReplyType,
  TransmissionFlag,
} from "./constants.ts";
export type { GatewayIntroduction, Introduction } from "./introduction.ts";
export {
  BlockDescriptor,
  BlockStatus,
  BlockStatusPayload,
  ClientFlags,
  ErrorChunk,
  ErrorOffset,
  ExportNameReply,
  ExtendedBlockDescriptor,
  ExtendedBlockStatus,
  ExtendedReply,
  ExtendedRequest,
  Greeting,
  OffsetData,
  OffsetHole,
  OptionReply,
  OptionRequest,
  Request as CompactRequest,
  SimpleReply,
  StructuredReply,
} from "./messages.ts";
export type { Chosen, HandshakeOptions, OfferedExport, OwnContexts } from "./option/option.ts";
export { proofOf } from "./proof.ts";
export { serverHandshake } from "./server/handshake.ts";
export { type Introducer, introducing } from "./server/introducing.ts";
export {
  type ReplyEncoderOptions,
  type RequestHandlerOptions,
  type RequestParserOptions,
  replyEncoder,
  requestHandler,
  requestParser,
  type TransmissionOptions,
  transmission,
} from "./server/layers.ts";
export {
  byteCount,
  type Field,
  type Magic,
  magic,
  type NextField,
  type Struct,
  type StructValue,
  struct,
  u16,
  u32,
  u64,
} from "./struct.ts";
export type { NbdReply, NbdRequest, Negotiated, Piece, ReplyContent } from "./transmission.ts";
export { transmissionFlags } from "./transmission-flags.ts";
