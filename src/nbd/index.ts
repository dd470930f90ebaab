export { clientHandshake } from "./client/handshake.ts";
export { type NbdClientOptions, nbdClient } from "./client/nbd-client.ts";
export type { RemoteExport } from "./client/remote-export.ts";
export { type ReplyLength, reply, replyParser } from "./client/reply-parser.ts";
export { requestEncoder } from "./client/request-encoder.ts";
export * from "./constants.ts";
export { type Described, Describer } from "./describe.ts";
export { LinkError, ProtocolError, RefusedError } from "./error.ts";
export * from "./messages.ts";
export type { ExportInformation } from "./option/go.ts";
export { serverHandshake, transmissionFlags } from "./server/handshake.ts";
export { type NbdServerOptions, nbdServer } from "./server/nbd-server.ts";
export { replyEncoder } from "./server/reply-encoder.ts";
export { type RequestHandlerOptions, requestHandler } from "./server/request-handler.ts";
export { type RequestParserOptions, request, requestParser } from "./server/request-parser.ts";
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
export type { NbdReply, NbdRequest, Negotiated } from "./transmission.ts";
