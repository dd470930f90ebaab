import type { Export } from "./export/export.ts";
import type { OnExportError } from "./export/failed-request.ts";
import { watchedReads } from "./export/filters/watch-reads.ts";
import type { Clock } from "./resuming/clock.ts";
import type { ResumeKeys } from "./resuming/resume-keys.ts";
import type { ServeAgainOptions } from "./resuming/serve-again.ts";
import type { onWake } from "./resuming/wakes.ts";
import { type ServeOptions, serveUnchecked as serve } from "./serve.ts";
import { wordsForOthers } from "./streams/for-others.ts";
import { nextTask } from "./streams/next-task.ts";
import { ownRoom } from "./streams/own-room.ts";
import { unlessAborted } from "./streams/unless-aborted.ts";
import { openWebSocket } from "./transport/open-web-socket.ts";
import { shownUrl } from "./transport/shown-url.ts";
import { OPEN, transportOver, type WebSocketLike } from "./transport/websocket.ts";

/** The states of a server that runs. See `NBDServerState`. */
export type RunningState = "connecting" | "waiting" | "serving" | "unreadable" | "reconnecting";

/** How a server connects, and comes back. */
export interface LinkOptions {
  /** The subprotocols that the WebSocket asks for. Default: none. It is read for each WebSocket, as a login may change. */
  protocols?: readonly string[] | undefined;
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
  /** The longest message that is sent, in bytes, at least 64, as the other side may refuse longer ones. Default: about 1 MiB. */
  maxMessage?: number | undefined;
  /** Called when the file cannot be read, with the request of the other side that met it; see `NbdServerOptions`. */
  onerror?: OnExportError | undefined;
}

/** What is served. */
export interface Medium {
  /** Closed at the end of one that could be read at the beginning. */
  file: Export;
  /** What the other side is told. Default: "". */
  name: string | undefined;
  /** Reads a little, and rejects if that fails. */
  look?: (() => Promise<unknown>) | undefined;
  /** `serveAgain`, which is told what the medium is. */
  serveAgain(disk: Export, options: AgainOptions): Promise<void>;
}

export type AgainOptions = Omit<ServeAgainOptions, "identity" | "medium">;

/** Who runs a server. */
export interface ServerOwner {
  /** Ends it in order. */
  signal: AbortSignal;
  /** What stands between the file and its user. What it returns is closed at the end. */
  filters(file: Export): Export;
  /** Called with each state, and with words about it. */
  become(state: RunningState, line: string): void;
  /** Default: that of the page. */
  onWake?: typeof onWake;
  /** Default: that of the computer. */
  clock?: Clock | undefined;
  /** Makes each WebSocket. Default: with the constructor of the runtime. */
  open?: (endpoint: string, protocols?: string[]) => WebSocketLike;
  /** Called each time that the file has become unreadable. */
  onUnreadable?(): void;
  /** Called when the other side says that it needs nothing more. */
  onDisconnect?(): void;
}

/** Bytes in flight: what our proxies ask for at a time. Each byte of a long read may hold 16 bytes of a window. */
const IN_FLIGHT = 1 << 22;

/**
 * The bytes of replies, with their headers, that are copied into one message: a message costs a browser more time than the
 * copy (test/bench/README.md, "One message for many replies").
 */
const MESSAGE = (1 << 20) + (1 << 14);

/**
 * The pipeline `join(webSocket, nbdServer(filters(medium)))`, over one link after another. It resolves when the other side or
 * `signal` has ended it, and rejects with what has failed. A medium that cannot be read fails before it connects.
 */
export async function serveMedium(
  endpoint: string,
  { file, name, look, serveAgain }: Medium,
  options: LinkOptions,
  owner: ServerOwner,
): Promise<void> {
  const { signal, filters, become, open = openWebSocket, onUnreadable, onDisconnect } = owner;
  const { retry, resumeKeys: keys, onerror, maxMessage = MESSAGE } = options;
  become("connecting", endpoint ? `connecting to ${shownUrl(endpoint)}` : "connecting");
  try {
    if (look) await unlessAborted(look(), signal);
  } catch (error) {
    if (signal.aborted) return;
    onUnreadable?.();
    throw error;
  }
  let link: RunningState = "connecting";
  let reads: RunningState = "serving";
  // Serving takes both: a link, and a file that can be read.
  const show = (line: string) => become(link === "serving" ? reads : link, line);
  const connect = (_signal?: AbortSignal, isAgain = false) => {
    // Who took the place meanwhile keeps it.
    const asked = options.protocols?.filter((one) => !isAgain || one !== "take-over");
    const socket = open(endpoint, asked);
    const transport = transportOver(socket, { wordsFor: wordsForOthers, maxMessage });
    const onOpen = () => {
      if (isAgain) return;
      link = "waiting";
      show("connected, waiting for the other side");
    };
    if (socket.readyState === OPEN) onOpen();
    else socket.addEventListener("open" as never, onOpen as never);
    return { socket, transport };
  };
  const disk = filters(
    watchedReads(file, {
      onfailing(line) {
        reads = "unreadable";
        show(line);
        onUnreadable?.();
      },
      onworking(line) {
        reads = "serving";
        show(line);
      },
      trial: look,
    }),
  );
  const serveOptions: ServeOptions = {
    name,
    room: ownRoom(IN_FLIGHT),
    gatherUpTo: Math.min(maxMessage, MESSAGE),
    later: nextTask,
    onerror,
    onDisconnect,
    onTransmission() {
      link = "serving";
      show(`serving ${file.size} bytes`);
    },
  };
  try {
    if (retry) {
      await serveAgain(disk, {
        ...owner,
        connect,
        serve,
        serveOptions,
        retry,
        keys,
        onReconnecting(line) {
          link = "reconnecting";
          show(line);
        },
      });
    } else await serve(connect().transport, disk, { ...serveOptions, signal });
  } finally {
    // Not waited for: it takes as long as a read of the file that nobody needs any more.
    void disk.close();
  }
}
