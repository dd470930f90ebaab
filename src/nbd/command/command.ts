import type { Errno } from "../../export/error.ts";
import type { Export } from "../../export/export.ts";
import type { NbdRequest, Negotiated, ReplyContent } from "../transmission.ts";

/** How the server handles one type of request. Each command has a file of its own. */
export interface CommandHandler {
  /** The command flags that it supports, besides FUA. A client may use them if the export offers them. */
  flags: number;
  /** How much work it is before it first waits, in requests, besides itself. Default 0. */
  effort?: number;
  /** The error if the request is refused before anything is done, else undefined. */
  refuse(request: NbdRequest, target: Export, negotiated: Negotiated): Errno | undefined;
  /**
   * Does the request, and returns the content of the reply, if any. What it throws becomes the error of the reply.
   * @param note reports a fault of the export that does not make the reply wrong
   */
  serve(
    request: NbdRequest,
    target: Export,
    negotiated: Negotiated,
    note: (error: unknown, request: NbdRequest) => void,
  ): Promise<ReplyContent | undefined>;
}
