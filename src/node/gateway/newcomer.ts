import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import type { BegunHandshake } from "../../nbd/client/begun-handshake.ts";
import { NoAnswerError } from "../../nbd/error.ts";
import type { Transport } from "../../streams/duplex.ts";
import { wordsForOthers } from "../../streams/for-others.ts";
import { SILENT } from "../../transport/close-codes.ts";
import { webSocket } from "../../transport/websocket.ts";
import type { BegunLink, Connection } from "../session/links.ts";
import { heartbeat } from "./heartbeat.ts";
import { TakenOverError } from "./take-over.ts";

/** Who opens a WebSocket, and what for. */
export interface Visitor {
  /** The path that names the configuration. */
  readonly path: string;
  readonly address: string;
  /** Whether it takes the configuration over if that is in use. */
  readonly takesOver: boolean;
}

/** A WebSocket that wants to serve to a configuration. Its other side is pinged as long as it lives. */
export class Newcomer {
  readonly visitor: Visitor;
  readonly since = new Date();
  readonly transport: Transport;
  readonly connection: Connection;

  /** @param pingInterval milliseconds */
  constructor(client: WebSocket, socket: Socket, visitor: Visitor, pingInterval: number) {
    let closeCode: number | undefined;
    let sent = 0;
    client.once("close", (code) => {
      closeCode = code;
    });
    this.visitor = visitor;
    const transport = webSocket(client, { wordsFor: wordsForOthers, remedy: 'set "request-kb"' });
    this.transport = { ...transport, close: (reason) => transport.close(withCode(reason)) };
    const beat = heartbeat(client, socket, pingInterval, () => {
      this.transport.close(new NoAnswerError("the other side does not answer any more"));
      client.terminate();
    });
    this.connection = {
      address: visitor.address,
      get silence() {
        return beat.silence;
      },
      get received() {
        return socket.bytesRead;
      },
      get sent() {
        // A socket that is destroyed takes back what had only been queued.
        sent = Math.max(sent, socket.bytesWritten);
        return sent;
      },
      get closeCode() {
        return closeCode;
      },
      isAlive: (milliseconds) => beat.isAlive(milliseconds),
    };
  }

  /**
   * Makes a link of it.
   * @param onrefused is asked first when a session does not take it, and says whether something else becomes of it
   */
  link(handshake: BegunHandshake, onrefused: (link: BegunLink, reason: Error) => boolean): BegunLink {
    const link: BegunLink = {
      handshake,
      connection: this.connection,
      succession: new TakenOverError(this.visitor.address),
      refuse: (reason) => {
        if (!onrefused(link, reason)) handshake.refuse(reason);
      },
    };
    return link;
  }
}

/** Who was given up for its silence, as a page that was frozen, may come back: it is told so by the close code. */
function withCode(reason: unknown): unknown {
  return reason instanceof NoAnswerError ? Object.assign(reason, { closeCode: SILENT }) : reason;
}
