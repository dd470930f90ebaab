import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Duplex } from "node:stream";
import { Server as TlsServer } from "node:tls";
import { deadline } from "../../streams/deadline.ts";
import type { Refusal } from "./admission.ts";
import { ANSWER_TIME, refuse } from "./answers.ts";
import { descriptorLimit, descriptorOf } from "./descriptors.ts";
import { below } from "./tls/handshakes.ts";

/** Descriptors that are kept free for sessions: local clients, devices, hooks. */
const RESERVED = 24;

/** Connections of those who have not logged in yet, and milliseconds that each of them may last. */
const STRANGERS = 32;
const STRANGER_TIME = 10_000;

const FULL: Refusal = { status: 503, words: "there are too many connections" };
const TOO_EARLY: Refusal = { status: 400, words: "a request before this one has not been answered yet" };

export interface ConnectionsOptions {
  /** The most connections at the same time. */
  limit: number;
  /** Whether those who come have to log in: until then they count as strangers, for whom there is less room and time. */
  hasLogin: boolean;
  log(line: string): void;
}

/** What counts as a connection: with TLS the socket below it, which was there first. */
const connectionOf = (socket: Duplex) => below(socket) ?? socket;

/** Bounds what connections cost: their number, one request at a time on each, and the time that an answer may take. */
export class Connections {
  readonly #server: Server | SecureServer;
  readonly #limit: number;
  readonly #hasLogin: boolean;
  readonly #log: (line: string) => void;
  readonly #descriptors = descriptorLimit();
  /** All connections, those of WebSockets and those whose handshake of TLS is not over too. */
  readonly #open = new Set<Duplex>();
  readonly #answering = new WeakSet<Duplex>();
  /** What gives each answer that is not over more than its time. */
  readonly #inTime = new WeakMap<ServerResponse, () => void>();
  /** Those that have not shown a login yet, the oldest first, with what calls their end off. */
  readonly #strangers = new Map<Duplex, () => void>();

  /** Strangers whose time was over while they were answered. */
  readonly #overdue = new WeakSet<Duplex>();

  constructor(server: Server | SecureServer, { limit, hasLogin, log }: ConnectionsOptions) {
    this.#server = server;
    this.#limit = limit;
    this.#hasLogin = hasLogin;
    this.#log = log;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** Takes note that a request on the connection was let in. */
  recognise(socket: Duplex): void {
    this.#noStranger(connectionOf(socket));
  }

  /** Whether an earlier request on the connection is still being answered. */
  isAnswering(socket: Duplex): boolean {
    return this.#answering.has(connectionOf(socket));
  }

  /** Takes note of a request. Returns whether it is to be answered; if not, the connection ends. */
  begin({ socket }: IncomingMessage, response: ServerResponse): boolean {
    if (!this.isInTurn(socket)) return false;
    const connection = connectionOf(socket);
    this.#answering.add(connection);
    const callOff = deadline(ANSWER_TIME, () => socket.destroy());
    this.#inTime.set(response, callOff);
    response.once("close", () => {
      callOff();
      this.#answering.delete(connection);
      if (this.#overdue.has(connection)) socket.destroy();
    });
    return true;
  }

  /** Takes note that an answer may last: whoever writes it sees to its end. */
  lasts(response: ServerResponse): void {
    this.#inTime.get(response)?.();
  }

  /**
   * Whether a request has waited for the answer to the one before it. If not, the connection ends after that answer, or at
   * once if still more comes: nothing piles up for clients that do not read.
   */
  isInTurn(socket: Duplex): boolean {
    if (!socket.writable) {
      if (socket.writableLength > 0) socket.destroy();
      // The HTTP server has let go of a socket that comes with a request for a WebSocket, and ends it no more.
      else socket.end(() => socket.destroy());
      return false;
    }
    if (!this.isAnswering(socket)) return true;
    this.#log(`refused a request with ${TOO_EARLY.status}: ${TOO_EARLY.words}`);
    refuse(socket, TOO_EARLY);
    return false;
  }

  #accept(socket: Duplex): void {
    this.#open.add(socket);
    socket.once("close", () => this.#open.delete(socket));
    if (this.#hasLogin) this.#acceptStranger(socket);
    if (!this.#isFull(socket)) return;
    // Idle connections make room: their clients can connect again.
    this.#server.closeIdleConnections();
    const why = this.#isFull(socket);
    if (!why) return;
    this.#log(`refused a connection: ${why}`);
    // Words would have to wait for a handshake.
    if (this.#server instanceof TlsServer) socket.destroy();
    else refuse(socket, FULL);
  }

  #acceptStranger(socket: Duplex): void {
    const callOff = deadline(STRANGER_TIME, () => {
      this.#strangers.delete(socket);
      // An answer that is on its way has a time of its own.
      if (this.isAnswering(socket)) this.#overdue.add(socket);
      else socket.destroy();
    });
    this.#strangers.set(socket, callOff);
    socket.once("close", () => this.#noStranger(socket));
    if (this.#strangers.size <= STRANGERS) return;
    const [oldest] = this.#strangers.keys();
    this.#noStranger(oldest!);
    oldest!.destroy();
    this.#log(
      `ended a connection: ${STRANGERS} have not logged in, which is the limit, and it was the oldest`,
    );
  }

  #noStranger(socket: Duplex): void {
    this.#strangers.get(socket)?.();
    this.#strangers.delete(socket);
    this.#overdue.delete(socket);
  }

  /** Why there is no room for a new connection. */
  #isFull(socket: Duplex): string | undefined {
    const there = [...this.#open].filter(({ destroyed }) => !destroyed).length;
    if (there > this.#limit) return `${this.#limit} are open, which is the limit`;
    if (descriptorOf(socket) >= this.#descriptors - RESERVED) {
      return `nearly all of the ${this.#descriptors} file descriptors that this process may have are in use (ulimit -n)`;
    }
    return undefined;
  }
}
