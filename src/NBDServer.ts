import { blobExport } from "./export/blob.ts";
import { sampleOf } from "./export/blob-sample.ts";
import type { Export } from "./export/export.ts";
import type { OnExportError } from "./export/failed-request.ts";
import { watchReads } from "./export/filters/watch-reads.ts";
import { windows } from "./export/filters/windows.ts";
import type { ResumeKeys } from "./resuming/resume-keys.ts";
import { type ServeOptions, serveUnchecked as serve } from "./serve.ts";
import { checkAmount, checkMethods, checkType } from "./streams/check.ts";
import { wordsForOthers } from "./streams/for-others.ts";
import { messageOf } from "./streams/message-of.ts";
import { nextTask } from "./streams/next-task.ts";
import { ownRoom } from "./streams/own-room.ts";
import { unlessAborted } from "./streams/unless-aborted.ts";
import { openWebSocket } from "./transport/open-web-socket.ts";
import { shownUrl } from "./transport/shown-url.ts";
import { webSocket } from "./transport/websocket.ts";

/**
 * Where a server is in its life. While reads of the file fail it is `unreadable`, and `serving` again when they succeed. While
 * it tries to replace a lost link it is `reconnecting`, and `serving` again on the new one.
 */
export type NBDServerState =
  | "idle"
  | "connecting"
  | "waiting"
  | "serving"
  | "unreadable"
  | "reconnecting"
  | "ended"
  | "failed";

/** Serves a File over a WebSocket. */
export interface NBDServer {
  readonly endpoint: string;
  readonly file: Blob;
  readonly state: NBDServerState;
  /** What failed, if `state` is "failed". A `WebSocketError` has the close code and the reason of the other side. */
  readonly error: unknown;
  /** What was read by the other side so far. */
  readonly counts: { readonly reads: number; readonly bytesRead: number };
  /** Takes a line for people when something happens. */
  onlog: ((line: string) => void) | undefined;
  /** Called when `state` has changed. */
  onstate: ((state: NBDServerState) => void) | undefined;
  /**
   * Connects and serves until the other side ends or `stop()`. A File that cannot be read is not served: it fails before it
   * connects. Starting a server that runs does nothing.
   */
  start(): void;
  /** Answers what is outstanding, for which there is half a second, and closes the connection. */
  stop(): void;
}

export interface PageServerOptions {
  /** Bytes of the file that are kept in memory; 0: none. Default 16 MiB. */
  cache?: number;
  /** The subprotocols that the WebSocket asks for. Default: none. It is read for each WebSocket, as a login may change. */
  protocols?: string[] | undefined;
  /**
   * Seconds for which a link that was lost is tried to be had again, once the other side has read something; 0: not at all.
   * Default 0. It needs the script `resuming.js` beside `nbd.js`.
   */
  retry?: number;
  /**
   * Where the key is kept that the other side gives, by which it knows this server again: kept beyond the page, a reloaded
   * page goes on where it was. Default: in memory, for this server.
   */
  resumeKeys?: ResumeKeys | undefined;
  /** Called when the file cannot be read, with the request of the other side that met it; see `NbdServerOptions`. */
  onerror?: OnExportError | undefined;
}

export interface NBDServerConstructor {
  /**
   * @param endpoint a ws:// or wss:// URL
   * @param file what to serve, read-only
   * @throws TypeError, RangeError when an argument is not what it should be. A URL that is not one shows when the server is started.
   */
  new (endpoint: string, file: Blob, options?: PageServerOptions): NBDServer;
  (endpoint: string, file: Blob, options?: PageServerOptions): NBDServer;
}

const CACHE = 1 << 24;

/** Bytes in flight: what our proxies ask for at a time. Each byte of a long read may hold 16 bytes of a window. */
const IN_FLIGHT = 1 << 22;

/**
 * The bytes of replies, with their headers, that are copied into one message: a message costs a browser more time than the
 * copy (test/bench/README.md, "One message for many replies").
 */
const MESSAGE = (1 << 20) + (1 << 14);

/**
 * The pipeline `join(webSocket, nbdServer(blobExport(file)))` with the interface that pages of the first
 * generation know: `NBDServer(endpoint, file)`, with or without `new`, `.start()`, `.stop()`, `.onlog`.
 */
export const NBDServer = function NBDServer(
  endpoint: string,
  file: Blob,
  options?: PageServerOptions,
): NBDServer {
  return new PageServer(endpoint, file, options);
} as unknown as NBDServerConstructor;

class PageServer implements NBDServer {
  readonly counts = { reads: 0, bytesRead: 0 };
  onlog: NBDServer["onlog"];
  onstate: NBDServer["onstate"];
  readonly endpoint: string;
  readonly file: Blob;
  error: unknown;
  readonly #options: PageServerOptions;
  readonly #cache: number;
  #state: NBDServerState = "idle";
  #ending: AbortController | undefined;

  constructor(endpoint: string, file: Blob, options: PageServerOptions = {}) {
    const { cache = CACHE, onerror, retry = 0 } = options;
    if (!((endpoint as unknown) instanceof URL)) checkType(endpoint, "endpoint", "string");
    checkMethods(file, "file", "a File or Blob", ["slice", "arrayBuffer"]);
    checkAmount(cache, "the cache, in bytes,");
    checkAmount(retry, "retry, in seconds,");
    if (onerror !== undefined) checkType(onerror, "onerror", "function");
    this.endpoint = endpoint;
    this.file = file;
    this.#cache = cache;
    this.#options = options;
  }

  get state(): NBDServerState {
    return this.#state;
  }

  start(): void {
    if (this.#ending) return;
    this.#ending = new AbortController();
    this.#serve(this.#ending.signal).then(
      () => this.#finish("ended", "the session has ended"),
      (error: unknown) => this.#finish("failed", messageOf(error), error),
    );
  }

  stop(): void {
    this.#ending?.abort();
  }

  async #serve(signal: AbortSignal): Promise<void> {
    this.#become("connecting", `connecting to ${shownUrl(this.endpoint)}`);
    const sample = sampleOf(this.file);
    try {
      if (sample) await unlessAborted(sample.look(), signal);
    } catch (error) {
      if (signal.aborted) return;
      throw error;
    }
    const { retry, resumeKeys: keys, onerror } = this.#options;
    const again = retry ? await import("./resuming/serve-file-again.ts") : undefined;
    const connect = (isAgain = false) => {
      const { protocols } = this.#options;
      // Who took the place meanwhile keeps it.
      const asked = isAgain ? protocols?.filter((one) => one !== "take-over") : protocols;
      const socket = openWebSocket(this.endpoint, asked);
      socket.addEventListener("open", () => {
        if (this.#state === "connecting") this.#become("waiting", "connected, waiting for the other side");
      });
      return { socket, transport: webSocket(socket, { wordsFor: wordsForOthers }) };
    };
    const watched = watchReads({
      onfailing: (line) => this.#become("unreadable", line),
      onworking: (line) => this.#become("serving", line),
      trial: sample && (() => sample.look()),
    })(blobExport(this.file));
    const disk = windows({ budget: this.#cache })(watched);
    const counted = this.#counted(disk);
    const options: ServeOptions = {
      name: (this.file as Partial<File>).name ?? "",
      room: ownRoom(IN_FLIGHT),
      gatherUpTo: MESSAGE,
      later: nextTask,
      onerror,
      onTransmission: () => this.#become("serving", `serving ${this.file.size} bytes`),
    };
    try {
      if (again) {
        await again.serveFileAgain(counted, this.file, {
          connect: (_signal, isAgain) => connect(isAgain),
          serve,
          serveOptions: options,
          retry: retry!,
          signal,
          keys,
          onReconnecting: (line) => this.#become("reconnecting", line),
        });
      } else await serve(connect().transport, counted, { ...options, signal });
    } finally {
      // Not waited for: it takes as long as a read of the file that nobody needs any more.
      void disk.close();
    }
  }

  /** Counts the reads of an export. The filter `statistics` would make the classic script a twentieth longer. */
  #counted(disk: Export): Export {
    return {
      ...disk,
      read: (offset, length, options) => {
        const reading = disk.read(offset, length, options);
        const count = () => {
          this.counts.reads++;
          this.counts.bytesRead += length;
        };
        reading.then(count, () => {});
        return reading;
      },
    };
  }

  #finish(state: "ended" | "failed", line: string, error?: unknown) {
    // First of all: whoever hears of the end may start anew.
    this.#ending = undefined;
    this.error = error;
    this.#become(state, line);
  }

  #become(state: NBDServerState, line: string) {
    this.#state = state;
    report(() => this.onlog?.(line));
    report(() => this.onstate?.(state));
  }
}

/** Calls back; what that throws is reported as what an event listener throws is, and disturbs nothing here. */
function report(callback: () => void) {
  try {
    callback();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}

// What it makes is one of its own, as with any class.
(NBDServer as { prototype: NBDServer }).prototype = PageServer.prototype;
