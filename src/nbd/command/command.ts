import type { Errno } from "../../export/error.ts";
import type { Export } from "../../export/export.ts";
import type { NbdRequest, Negotiated, ReplyContent } from "../transmission.ts";

/** What the server does with one type of request. One command a file. */
export interface CommandHandler {
  /** Command flags that the command knows, where they are offered; FUA every command takes. */
  flags: number;
  /** As how many other requests it counts, besides itself, since it is much work before anything is waited for. Default 0. */
  effort?: number;
  /** Why the request is refused before anything is done, or undefined. */
  refuse(request: NbdRequest, target: Export, negotiated: Negotiated): Errno | undefined;
  /**
   * Does it, and gives what the reply carries, if anything. What it throws becomes the reply's error; of a mistake of the
   * export that leaves the reply right it takes `note`.
   */
  serve(
    request: NbdRequest,
    target: Export,
    negotiated: Negotiated,
    note: (error: unknown, request: NbdRequest) => void,
  ): Promise<ReplyContent | undefined>;
}
