export { blobExport } from "./blob.ts";
export { Errno, ExportError, errnoName, isErrno } from "./error.ts";
export type { BlockSize, Export, Filter, ReadOptions, WriteOptions } from "./export.ts";
export { forward } from "./filters/forward.ts";
export { type Statistics, statistics } from "./filters/statistics.ts";
export { memoryExport } from "./memory.ts";
