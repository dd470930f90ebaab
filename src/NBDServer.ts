import type { Export } from "./export/export.ts";
import { windows } from "./export/filters/windows.ts";
import { type LinkOptions, type RunningState, serveBlob } from "./serve-blob.ts";
import { callBack } from "./streams/call-back.ts";
import { checkAmount, checkMethods, checkType } from "./streams/check.ts";
import { messageOf } from "./streams/message-of.ts";

/**
 * Where a server is in its life. While reads of the file fail it is `unreadable`, and `serving` again when they succeed. While
 * it tries to replace a lost link it is `reconnecting`, and `serving` again on the new one.
 */
export type NBDServerState = "idle" | RunningState | "ended" | "failed";

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

export interface PageServerOptions extends LinkOptions {
  /** Bytes of the file that are kept in memory; 0: none. Default 16 MiB. */
  cache?: number;
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
    serveBlob(this.endpoint, this.file, this.#options, {
      signal: this.#ending.signal,
      filters: (file) => this.#counted(windows({ budget: this.#cache })(file)),
      become: (state, line) => this.#become(state, line),
    }).then(
      () => this.#finish("ended", "the session has ended"),
      (error: unknown) => this.#finish("failed", messageOf(error), error),
    );
  }

  stop(): void {
    this.#ending?.abort();
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
    callBack(() => this.onlog?.(line));
    callBack(() => this.onstate?.(state));
  }
}

// What it makes is one of its own, as with any class.
(NBDServer as { prototype: NBDServer }).prototype = PageServer.prototype;
