export { blobExport } from "./blob.ts";
export { Errno, ExportError, type ExportErrorOptions, errnoName, isErrno } from "./error.ts";
export type {
  BlockSize,
  Export,
  Extent,
  Filter,
  RangeOptions,
  ReadOptions,
  WriteOptions,
  WriteZeroesOptions,
} from "./export.ts";
export type { FailedRequest, OnExportError } from "./failed-request.ts";
export { Cache, type CacheFollower, type CacheOptions, cache } from "./filters/cache.ts";
export type { CoverageSnapshot } from "./filters/coverage.ts";
export { type FastOptions, fast } from "./filters/fast.ts";
export { forward } from "./filters/forward.ts";
export { LATENCY_BOUNDS, type LatencySnapshot } from "./filters/latency.ts";
export { LinkMeter, type LinkMeterOptions, metered } from "./filters/link-meter.ts";
export { type ReadAheadOptions, readAhead } from "./filters/read-ahead.ts";
export {
  type Operation,
  type OperationCounts,
  type OperationSnapshot,
  Statistics,
  type StatisticsOptions,
  type StatisticsSnapshot,
  statistics,
} from "./filters/statistics.ts";
export { type WatchReadsOptions, watchReads } from "./filters/watch-reads.ts";
export { type WindowsOptions, windows } from "./filters/windows.ts";
export { memoryExport } from "./memory.ts";
export type { RequestWindow } from "./request-window.ts";
export { type WritableExport, writeZeroesPiecewise } from "./zeroes.ts";
