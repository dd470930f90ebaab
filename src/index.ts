/**
 * The entry "nbd-proxy": what most need, and what runs anywhere. It names no Node module, and hides nothing global.
 *
 * More is in "nbd-proxy/streams", "nbd-proxy/protocol", "nbd-proxy/resume" and "nbd-proxy/fixtures".
 */
export { type ConnectExportOptions, connectExport } from "./connect-export.ts";
export { blobExport } from "./export/blob.ts";
export { Errno, ExportError, type ExportErrorOptions, GoneError } from "./export/error.ts";
export type {
  BlockSize,
  Export,
  Extent,
  Filter,
  RangeOptions,
  ReadOptions,
  WriteOptions,
  WriteZeroesOptions,
} from "./export/export.ts";
export type { FailedRequest, OnExportError } from "./export/failed-request.ts";
export { type CacheFollower, type CacheOptions, cache, ReadCache } from "./export/filters/cache.ts";
export type { CoverageSnapshot } from "./export/filters/coverage.ts";
export { type FastOptions, fast } from "./export/filters/fast.ts";
export { forward } from "./export/filters/forward.ts";
export { LATENCY_BOUNDS, type LatencySnapshot } from "./export/filters/latency.ts";
export { LinkMeter, type LinkMeterOptions, metered } from "./export/filters/link-meter.ts";
export { type ReadAheadOptions, readAhead } from "./export/filters/read-ahead.ts";
export type { ReadProgress } from "./export/filters/read-meter.ts";
export {
  type Operation,
  type OperationCounts,
  type OperationSnapshot,
  Statistics,
  type StatisticsOptions,
  type StatisticsSnapshot,
  statistics,
} from "./export/filters/statistics.ts";
export { type WatchReadsOptions, watchReads } from "./export/filters/watch-reads.ts";
export { type WindowsOptions, windows } from "./export/filters/windows.ts";
export type { HttpError, HttpFault } from "./export/http/http-error.ts";
export type { HttpIdentity } from "./export/http/identity.ts";
export { type HttpExport, type HttpExportOptions, httpExport } from "./export/http.ts";
export { memoryExport } from "./export/memory.ts";
export type { RequestWindow } from "./export/request-window.ts";
export { type WritableExport, writeZeroesPiecewise } from "./export/zeroes.ts";
export {
  NBDServer,
  type NBDServerConstructor,
  type NBDServerState,
  type PageServerOptions,
  type ServingPlace,
} from "./NBDServer.ts";
export type { HandshakeTimes } from "./nbd/client/handshake-times.ts";
export { type ExportInquiry, type InquiryOptions, inquireExport, listExports } from "./nbd/client/inquiry.ts";
export { type NbdClientOptions, nbdClient } from "./nbd/client/nbd-client.ts";
export type { RemoteExport } from "./nbd/client/remote-export.ts";
export { LinkError, ProtocolError, RefusedError } from "./nbd/error.ts";
export type { ExportInformation } from "./nbd/option/go.ts";
export type { ExportName } from "./nbd/option/list.ts";
export type { OfferedExport } from "./nbd/option/option.ts";
export { type NbdServerOptions, nbdServer, serveClient } from "./nbd/server/nbd-server.ts";
export type { Negotiated } from "./nbd/transmission.ts";
export type { ResumeKeys } from "./resuming/resume-keys.ts";
export { type ServeOptions, serve } from "./serve.ts";
export { ByteBudget, type Room, type Share } from "./streams/budget.ts";
export type { Duplex, Layer, Transport } from "./streams/duplex.ts";
export { Ended } from "./streams/ended.ts";
export { type JoinOptions, join } from "./streams/join.ts";
export { type Keeper, MemoryBudget, type MemoryShare } from "./streams/memory-budget.ts";
export { transportPair } from "./streams/pair.ts";
export { UnexpectedEndError } from "./streams/parse.ts";
export { type MessagePortLike, messagePort } from "./transport/message-port.ts";
export {
  WebSocketError,
  type WebSocketLike,
  type WebSocketTransportOptions,
  webSocket,
} from "./transport/websocket.ts";
