export { clientHandshake } from "./client/handshake.ts";
export { type ExportInquiry, type InquiryOptions, inquireExport, listExports } from "./client/inquiry.ts";
export { type NbdClientOptions, nbdClient } from "./client/nbd-client.ts";
export type { RemoteExport } from "./client/remote-export.ts";
export { type ReplyOptions, type RequestOf, replyParser, replyParsers } from "./client/reply-parser.ts";
export { requestEncoder } from "./client/request-encoder.ts";
export * from "./constants.ts";
export { type Described, Describer } from "./describe/describer.ts";
export { LinkError, ProtocolError, RefusedError } from "./error.ts";
export * from "./messages.ts";
export type { ExportInformation } from "./option/go.ts";
export type { ExportName } from "./option/list.ts";
export type { Chosen, OfferedExport } from "./option/option.ts";
export type { FailedRequest, OnExportError } from "./server/export-faults.ts";
export { serverHandshake } from "./server/handshake.ts";
export { type NbdServerOptions, nbdServer } from "./server/nbd-server.ts";
export { type ReplyEncoderOptions, replyEncoder } from "./server/reply-encoder.ts";
export { type RequestHandlerOptions, requestHandler } from "./server/request-handler.ts";
export { extendedRequest, request, requestParser } from "./server/request-parser.ts";
export { type TransmissionOptions, transmission } from "./server/transmission.ts";
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
