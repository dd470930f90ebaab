/**
 * The entry "nbd-proxy/resume": an export that goes on over a new link when one is lost, whatever the links are. Who finds the next
 * link, and whether its medium is the same, is the caller's part.
 */
export { GivenUpError, GoneError } from "./export/error.ts";
export type { CallLimits } from "./export/resume/call-room.ts";
export { type Opened, type ResumedExport, type ResumeOptions, resume } from "./export/resume/resume.ts";
export { UnflushedMemory, type UnflushedShare } from "./export/resume/unflushed-memory.ts";
