import { MAX_MINIMUM } from "../../export/check-export.ts";
import type { Export } from "../../export/export.ts";
import { blocksize } from "../../export/filters/blocksize.ts";
import { checkRanges } from "../../export/filters/check-ranges.ts";
import { fua } from "../../export/filters/fua.ts";
import type { RequestWindow } from "../../export/request-window.ts";
import type { Duplex, Transport } from "../../streams/duplex.ts";
import { MAX_PAYLOAD, TransmissionFlag } from "../constants.ts";
import { LinkError } from "../error.ts";
import type { ExportInformation } from "../option/go.ts";
import { effectWindow } from "./effect-window.ts";
import { Link } from "./link.ts";
import { type Limits, linkExport } from "./link-export.ts";
import { isNarrow, linkWindow } from "./link-window.ts";

/**
 * The longest TRIM, WRITE_ZEROES, CACHE and BLOCK_STATUS where a request's length has 32 bits: what fits, in multiples of
 * the largest minimum block size. With extended headers there is no limit.
 */
const MAX_EFFECT = 0x1_0000_0000 - MAX_MINIMUM;

/** The window of requests without payload has room for at least this many, so that several have their turn. */
const EFFECTS = 8;

/**
 * The export of an NBD server at the other end of a link. It lives as long as the link does.
 *
 * Any range can be asked for: long requests are split, and reads are padded to whole blocks. Writes are not padded, so
 * `blockSize` tells the server's minimum where the export is writable. A range outside of the export is refused with a
 * RangeError, what is not a number with a TypeError, and every request after the end of the link with GoneError, EIO.
 */
export interface RemoteExport extends Export {
  /** The server's own name for the export, where it told. */
  readonly name: string | undefined;
  /** The server's words for people about the export, where it had some. */
  readonly description: string | undefined;
  /** What the server is asked for at most. Longer requests are split; requests beyond `outstanding` wait. */
  readonly window: RequestWindow;
  /**
   * Resolves when the link has ended in order: between two replies with nothing outstanding, or by `close()`.
   * Rejects with LinkError, ProtocolError or the transport's error in every other case. It is safe to ignore.
   */
  readonly closed: Promise<void>;
  /** How many requests have been sent. */
  readonly requests: bigint;
  /** How many of them have no answer yet. */
  readonly unanswered: number;
  /** Ends the link in order: waits for what is outstanding, sends NBD_CMD_DISC, waits for the server's end. */
  close(): Promise<void>;
}

/**
 * Makes a link of what comes after a handshake, and an export of what the server said that it can do.
 *
 * @param rest the channel from the first byte after the handshake
 * @param transport the transport below it, which is closed when the link ends
 * @param timeout milliseconds without an answer after which the link counts as lost; 0: never
 * @param wanted what the server is asked for at most, where it is not the default
 */
export function remoteExport(
  information: ExportInformation,
  rest: Duplex<Uint8Array>,
  transport: Transport,
  timeout: number,
  wanted?: Partial<RequestWindow>,
): RemoteExport {
  const { flags, name, description, exportNameOnly, headers } = information;
  const window = linkWindow(exportNameOnly === true, wanted);
  const link = new Link(rest, transport, information, { window, timeout });
  const effects = effectWindow(timeout);
  const inquiry = headers === "extended" ? Number.POSITIVE_INFINITY : MAX_EFFECT;
  const whole = isNarrow(window) ? link.inquiry : inquiry;
  const limits: Limits = { effects, inquiry, whole };
  const split = blocksize({
    longest: window.request,
    longestRange: Math.min(inquiry, Math.max(MAX_MINIMUM, effects / EFFECTS)),
  })(linkExport(link, information, limits));
  const able = flags & TransmissionFlag.SEND_FUA ? split : fua(split);
  const { blockSize, ...methods } = checkRanges(able);
  return {
    ...methods,
    // The specification allows no more.
    ...(blockSize && { blockSize: { ...blockSize, maximum: MAX_PAYLOAD } }),
    name,
    description,
    window,
    closed: link.closed,
    get requests() {
      return link.requests;
    },
    get unanswered() {
      return link.unanswered;
    },
    close: () => link.close(new LinkError("the export was closed")),
  };
}
