import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { deadline } from "../../streams/deadline.ts";
import type { Refusal } from "./admission.ts";
import { ANSWER_TIME, refuse } from "./answers.ts";
import { descriptorLimit, descriptorOf } from "./descriptors.ts";

/** Descriptors that connections leave to what sessions need: local clients, devices, hooks. */
const RESERVED = 24;

const FULL: Refusal = { status: 503, words: "there are too many connections" };
const TOO_EARLY: Refusal = { status: 400, words: "a request before this one has not been answered yet" };

/** Bounds what connections cost: how many there are, and one request at a time on each, whose answer has its time. */
export class Connections {
  readonly #server: Server;
  readonly #limit: number;
  readonly #log: (line: string) => void;
  readonly #descriptors = descriptorLimit();
  /** Those of WebSockets too. */
  readonly #open = new Set<Duplex>();
  readonly #answering = new WeakSet<Duplex>();

  /** @param limit the most connections at the same time */
  constructor(server: Server, limit: number, log: (line: string) => void) {
    this.#server = server;
    this.#limit = limit;
    this.#log = log;
    server.on("connection", (socket) => this.#accept(socket));
  }

  /** Whether a request before the one that has come has not been answered entirely. */
  isAnswering(socket: Duplex): boolean {
    return this.#answering.has(socket);
  }

  /** Begins with a request. Tells whether it is to be answered; if not, the connection ends. */
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
   * Whether what has come on a connection has waited for the answer to what came before. If not, the connection ends
   * with that answer, or at once where even more comes meanwhile: nothing piles up for those who do not read.
   */
  isInTurn(socket: Duplex): boolean {
    if (!socket.writable) {
      if (socket.writableLength > 0) socket.destroy();
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
    // Those that have been answered and say nothing: their clients can connect again.
    this.#server.closeIdleConnections();
    const why = this.#isFull(socket);
    if (!why) return;
    this.#log(`refused a connection: ${why}`);
    refuse(socket, FULL);
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
