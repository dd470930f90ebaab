import { ReadMeter, type ReadProgress } from "./export/filters/read-meter.ts";
import { windowsOver } from "./export/filters/windows.ts";
import { serveBlob } from "./serve-blob.ts";
import type { LinkOptions, RunningState } from "./serve-medium.ts";
import { callBack } from "./streams/call-back.ts";
import { checkAmount, checkMethods, checkType } from "./streams/check.ts";
import { messageOf } from "./streams/message-of.ts";
import { quoted } from "./streams/quoted.ts";
import { MAX_REASON } from "./transport/close-reason.ts";
import { openWebSocket } from "./transport/open-web-socket.ts";
import { webSocketClosed } from "./transport/web-socket-closed.ts";
import {
  checkMaxMessage,
  checkWebSocket,
  WebSocketError,
  type WebSocketLike,
} from "./transport/websocket.ts";

/**
 * Where a server is in its life. While reads of the file fail it is `unreadable`, and `serving` again when they succeed. While
 * it tries to replace a lost link it is `reconnecting`, and `serving` again on the new one.
 */
export type NBDServerState = "idle" | RunningState | "ended" | "failed";

/** Serves a File over a WebSocket. */
export interface NBDServer {
  /** The URL of the WebSocket; "" before a function has made the first one. */
  readonly endpoint: string;
  readonly file: Blob;
  /** What webui-vue has told it that the drive is. */
  readonly id: string | number | undefined;
  readonly state: NBDServerState;
  /** What failed, if `state` is "failed". A `WebSocketError` has the close code and the reason of the other side. */
  readonly error: unknown;
  /** What was read by the other side so far. */
  readonly counts: { readonly reads: number; readonly bytesRead: number };
  /** Takes a line for people when something happens. */
  onlog: ((line: string) => void) | undefined;
  /** Called when `state` has changed. */
  onstate: ((state: NBDServerState) => void) | undefined;
  /** Called four times a second while something is read, once more when the rate has fallen to 0, and at the end. */
  onprogress: ((progress: ReadProgress) => void) | undefined;
  /** Called by `start()`. */
  socketStarted: () => void;
  /**
   * Called once for each start, after all else: with 1000 after `stop()` or a goodbye of the other side, else the close code of
   * the last WebSocket; 1006 if there was none, or it was never opened.
   */
  socketClosed: (code: number) => void;
  /** Called each time that the file has become unreadable. */
  errorReadingFile: () => void;
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
  /** See `NBDServer.onprogress`. */
  onprogress?: ((progress: ReadProgress) => void) | undefined;
}

/**
 * Where a file is served: a ws:// or wss:// URL; a WebSocket, connecting or open, for a single start; or what makes one, at each
 * start and for each link that replaces a lost one. The WebSocket is the server's then.
 */
export type ServingPlace = string | URL | WebSocketLike | (() => WebSocketLike);

export interface NBDServerConstructor {
  /**
   * @param file what to serve, read-only
   * @throws TypeError, RangeError when an argument is not what it should be. A URL that is not one shows when the server is started.
   */
  new (where: ServingPlace, file: Blob, options?: PageServerOptions): NBDServer;
  /**
   * As webui-vue calls it: `token` is the subprotocol that the WebSocket asks for, if any, and messages have at most 128 KiB
   * and a header, as relays of BMCs take no more.
   */
  new (where: ServingPlace, file: Blob, id: DriveId, token?: string | undefined): NBDServer;
  (where: ServingPlace, file: Blob, options?: PageServerOptions): NBDServer;
  (where: ServingPlace, file: Blob, id: DriveId, token?: string | undefined): NBDServer;
}

interface CloseFrame {
  readonly code?: number;
  readonly reason?: string;
}

type DriveId = string | number | undefined;

/** What stands behind `where` and `file`. */
type Rest = [options?: PageServerOptions] | [id: DriveId, token?: string | undefined];

const CACHE = 1 << 24;

/** The longest message that relays of BMCs take: 128 KiB and the header of a reply. */
const BMC_MESSAGE = (1 << 17) + 16;

/** The close codes that a page is told of which no frame has come. */
const IN_ORDER = 1000;
const LOST = 1006;

/**
 * The pipeline `join(webSocket, nbdServer(blobExport(file)))` with the interface that pages of the first
 * generation know: `NBDServer(where, file)`, with or without `new`, `.start()`, `.stop()`, `.onlog`.
 */
export const NBDServer = function NBDServer(where: ServingPlace, file: Blob, ...rest: Rest): NBDServer {
  return new PageServer(where, file, rest);
} as unknown as NBDServerConstructor;

/**
 * Its methods are its own, and what a page sees are plain properties: Vue calls them by way of a Proxy, which has no private
 * members.
 */
class PageServer implements NBDServer {
  state: NBDServerState = "idle";
  error: unknown;
  onlog: NBDServer["onlog"];
  onstate: NBDServer["onstate"];
  onprogress: NBDServer["onprogress"];
  socketStarted = () => {};
  socketClosed: NBDServer["socketClosed"] = () => {};
  errorReadingFile = () => {};
  endpoint = "";
  readonly file: Blob;
  readonly id: DriveId;
  readonly counts: NBDServer["counts"];
  readonly #meter = new ReadMeter((progress) => callBack(() => this.onprogress?.(progress)));
  readonly #open: (url: string, protocols?: string[]) => WebSocketLike;
  readonly #given: WebSocketLike | undefined;
  readonly #options: PageServerOptions;
  readonly #cache: number;
  #isUsed = false;
  #ending: AbortController | undefined;
  /** Calls `socketClosed`, if that is due. */
  #tellClosed = () => {};

  constructor(where: ServingPlace, file: Blob, rest: Rest) {
    const options = optionsIn(rest);
    const { cache = CACHE, onerror, retry = 0, maxMessage, onprogress } = options;
    if (typeof where === "string" || where instanceof URL) {
      this.endpoint = String(where);
      this.#open = openWebSocket;
    } else {
      if (options.protocols) {
        throw new TypeError("protocols are for a URL; give them to the WebSocket where it is made");
      }
      if (typeof where === "function") this.#open = () => this.#note(where());
      else {
        if (retry) throw new TypeError("retry needs a URL, or a function that makes a WebSocket");
        this.#given = this.#note(where);
        this.#open = () => this.#once(where);
      }
    }
    checkMethods(file, "file", "a File or Blob", ["slice", "arrayBuffer"]);
    checkAmount(cache, "the cache, in bytes,");
    checkAmount(retry, "retry, in seconds,");
    if (maxMessage !== undefined) checkMaxMessage(maxMessage);
    if (onerror !== undefined) checkType(onerror, "onerror", "function");
    if (onprogress !== undefined) checkType(onprogress, "onprogress", "function");
    this.file = file;
    this.id = options === rest[0] ? undefined : (rest[0] as DriveId);
    this.counts = this.#meter.counts;
    this.onprogress = onprogress;
    this.#cache = cache;
    this.#options = options;
  }

  start = (): void => {
    // By one who was told of the end first.
    this.#tellClosed();
    if (this.#ending) return;
    this.#ending = new AbortController();
    void this.#run(this.#ending.signal);
    callBack(() => this.socketStarted());
  };

  stop = (): void => {
    this.#ending?.abort();
  };

  async #run(signal: AbortSignal): Promise<void> {
    let socket = this.#given;
    let code = LOST;
    let reason = "";
    let hasLeft = false;
    const open = (url: string, protocols?: string[]) => {
      const made = this.#open(url, protocols);
      socket = made;
      code = LOST;
      const onClose = (event: CloseFrame) => {
        if (socket === made) ({ code = LOST, reason = "" } = event);
      };
      made.addEventListener("close" as never, onClose as never);
      return made;
    };
    const failure = await serveBlob(this.endpoint, this.file, this.#options, {
      signal,
      open,
      filters: (file) => this.#meter.over(windowsOver(file, this.#cache)),
      become: (state, line) => this.#become(state, line),
      onUnreadable: () => callBack(() => this.errorReadingFile()),
      onDisconnect() {
        hasLeft = true;
      },
    }).then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    const isInOrder = !failure && (signal.aborted || hasLeft);
    // Of one that was not used nothing else is heard; and closed while it connects, `ws` throws an error.
    socket?.addEventListener("error" as never, (() => {}) as never);
    socket?.close();
    // Whoever hears of the end may start anew, and the other side may have one place only.
    await webSocketClosed(socket);
    this.#meter.end();
    this.#ending = undefined;
    this.error = failure?.error;
    const words = failure ? messageOf(failure.error) : "the session has ended";
    // Relays give the reason of a failure with a close code that says that there was none.
    const why =
      reason === "" || failure?.error instanceof WebSocketError ? "" : `: ${quoted(reason, MAX_REASON)}`;
    this.#tellClosed = () => {
      this.#tellClosed = () => {};
      callBack(() => this.socketClosed(isInOrder ? IN_ORDER : code));
    };
    this.#become(failure ? "failed" : "ended", `${words}${why}`);
    this.#tellClosed();
  }

  /** Takes note of a WebSocket that the page has made. */
  #note(socket: WebSocketLike & { url?: string }): WebSocketLike {
    checkWebSocket(socket, "where a file is served", "a URL, a WebSocket or a function that makes one");
    this.endpoint = socket.url ?? "";
    return socket;
  }

  #once(socket: WebSocketLike): WebSocketLike {
    if (this.#isUsed)
      throw new Error("this WebSocket was used before; give a function that makes a WebSocket");
    this.#isUsed = true;
    return socket;
  }

  #become(state: NBDServerState, line: string) {
    this.state = state;
    callBack(() => this.onlog?.(line));
    callBack(() => this.onstate?.(state));
  }
}

function optionsIn(rest: Rest): PageServerOptions {
  const [first, token] = rest;
  if (typeof first === "object" && first !== null) return first;
  if (rest.length < 2 && first === undefined) return {};
  return { maxMessage: BMC_MESSAGE, protocols: token ? [token] : undefined };
}

// What it makes is one of its own, as with any class.
(NBDServer as { prototype: NBDServer }).prototype = PageServer.prototype;
