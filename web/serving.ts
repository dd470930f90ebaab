import { NBDServer, type NBDServerState } from "../src/NBDServer.ts";
import { TAKEN_OVER } from "../src/transport/close-codes.ts";
import { WebSocketError } from "../src/transport/websocket.ts";
import type { FileHandle } from "./keeping/file-handle.ts";
import { nameOfSession } from "./keeping/kept-session.ts";
import { TabSession } from "./keeping/tab-session.ts";
import type { Login } from "./login/login.ts";

/** Seconds for which a link that was lost is tried to be had again. */
const RETRY = 300;

/** Milliseconds between two looks at how much was read. */
const METER = 250;

export interface ServingOptions {
  /** A ws:// or wss:// URL. */
  endpoint: string;
  file: File;
  /** By which the browser finds the file again, if it can. */
  handle: FileHandle | undefined;
  login: Login;
  /** More subprotocols, as that which asks for a place that somebody else has. */
  more: readonly string[];
}

export interface ServingEvents {
  log(line: string): void;
  onbytes(read: number): void;
  onstate(news: ServingNews): void;
}

/** A new state of a server. */
export interface ServingNews {
  state: NBDServerState;
  /** The last line of the log: more about the state. */
  line: string;
  /** What failed, if the state is "failed". */
  error: unknown;
  /** Whether a WebSocket was ever open. */
  wasOpen: boolean;
  /** If the link is or was lost before this state: when, and when it is given up, in milliseconds since 1970. */
  lost: { at: number; until: number } | undefined;
}

/** Serves a file, and sees to it that this tab, when it is loaded again, can go on in its place. */
export function startServing(
  { endpoint, file, handle, login, more }: ServingOptions,
  { log, onbytes, onstate }: ServingEvents,
): NBDServer {
  const session = new TabSession(nameOfSession(endpoint), file, handle);
  const server = new NBDServer(endpoint, file, {
    // After a new login it is another one.
    get protocols() {
      return login.protocols(...more);
    },
    retry: RETRY,
    resumeKeys: session,
  });
  let line = "";
  let wasOpen = false;
  let lost: ServingNews["lost"];
  const note = () => {
    if (server.state === "serving") session.note(true);
  };
  const meter = setInterval(() => {
    onbytes(server.counts.bytesRead);
    if (server.state === "serving") session.note();
  }, METER);
  addEventListener("pagehide", note);

  async function end(error: unknown) {
    clearInterval(meter);
    removeEventListener("pagehide", note);
    onbytes(server.counts.bytesRead);
    // There is nothing to go on with.
    if (error instanceof WebSocketError && error.code === TAKEN_OVER) await session.set(undefined);
    session.end();
  }

  server.onlog = (next) => {
    line = next;
    log(next);
  };
  server.onstate = (state) => {
    wasOpen ||= state === "waiting";
    if (state === "reconnecting") lost ??= { at: Date.now(), until: Date.now() + 1000 * RETRY };
    if (state === "ended" || state === "failed") void end(server.error);
    onstate({ state, line, error: server.error, wasOpen, lost });
    if (state === "serving") lost = undefined;
  };
  server.start();
  return server;
}
