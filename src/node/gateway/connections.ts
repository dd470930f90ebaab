import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Duplex } from "node:stream";
import { Server as TlsServer } from "node:tls";
import { deadline } from "../../streams/deadline.ts";
import type { Refusal } from "./admission.ts";
import { ANSWER_TIME, refuse } from "./answers.ts";
import { descriptorLimit, descriptorOf } from "./descriptors.ts";

/** Descriptors that are kept free for sessions: local clients, devices, hooks. */
const RESERVED = 24;

const FULL: Refusal = { status: 503, words: "there are too many connections" };
const TOO_EARLY: Refusal = { status: 400, words: "a request before this one has not been answered yet" };

/** Bounds what connections cost: their number, one request at a time on each, and the time that an answer may take. */
export class Connections {
  readonly #server: Server | SecureServer;
  readonly #limit: number;
  readonly #log: (line: string) => void;
  readonly #descriptors = descriptorLimit();
  /** All connections, those of WebSockets and those whose handshake of TLS is not over too. */
  readonly #open = new Set<Duplex>();
  readonly #answering = new WeakSet<Duplex>();

  /** @param limit the most connections at the same time */
  constructor(server: Server | SecureServer, limit: number, log: (line: string) => void) {
    this.#server = server;
    this.#limit = limit;
    this.#log = log;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** Whether an earlier request on the connection is still being answered. */
  isAnswering(socket: Duplex): boolean {
    return this.#answering.has(socket);
  }

  /** Takes note of a request. Returns whether it is to be answered; if not, the connection ends. */
  begin({ socket }: IncomingMessage, response: ServerResponse): boolean {
    if (!this.isInTurn(socket)) return false;
    this.#answering.add(socket);
    const callOff = deadline(ANSWER_TIME, () => socket.destroy());
    response.once("close", () => {
      callOff();
      this.#answering.delete(socket);
    });
    return true;
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
