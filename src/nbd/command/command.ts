import type { Errno } from "../../export/error.ts";
import type { Export } from "../../export/export.ts";
import type { Payload } from "../../streams/payload.ts";
import type { NbdRequest, Negotiated } from "../transmission.ts";

/** What the server does with one type of request. One command a file. */
export interface CommandHandler {
  /** Command flags that the command knows, apart from FUA, which every command takes where it is advertised. */
  flags: number;
  /** Why the request is refused before anything is done, or undefined. */
  refuse(request: NbdRequest, target: Export, negotiated: Negotiated): Errno | undefined;
  /** Does it, and gives the data of the reply if there is any. What it throws becomes the reply's error. */
  serve(request: NbdRequest, target: Export): Promise<Payload | undefined>;
}
