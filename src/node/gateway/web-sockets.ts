import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type WebSocket, WebSocketServer } from "ws";
import { LONGEST_MESSAGE } from "../../nbd/constants.ts";
import { messageOf } from "../../streams/message-of.ts";
import { subprotocolOf } from "../login/credentials.ts";
import { type Reader, readInto } from "../read-into.ts";
import { refuse } from "./answers.ts";
import { BinaryMessages } from "./binary-messages.ts";
import { LONGEST_CONTROL } from "./frame-header.ts";
import { guard } from "./guard.ts";
import { refusalLine } from "./refusal-line.ts";

const NOTHING = Buffer.alloc(0);

/** Takes bytes that nobody wants any more. */
const DISCARDED = new Uint8Array(1 << 16);

/** Uses a new WebSocket, and the socket below it. */
export type Start = (client: WebSocket, socket: Socket) => void;

/** Makes WebSockets of requests that were let in. An error in a listener ends only its own WebSocket. */
export class WebSockets {
  /** It gets close frames only; see `BinaryMessages`. */
  readonly #server = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: LONGEST_CONTROL,
    handleProtocols: subprotocolOf,
  });
  readonly #log: (line: string) => void;
  readonly #longest: number;

  /** @param longest bytes of a frame. A binary message of several frames may be longer, since it is handed on in pieces */
  constructor(log: (line: string) => void, longest = LONGEST_MESSAGE) {
    this.#log = log;
    this.#longest = longest;
    this.#server.on("wsClientError", ({ message }, socket, request) => {
      const headers = { "Sec-WebSocket-Version": "13" };
      const refusal = { status: 400, words: message, headers };
      log(refusalLine(request, refusal));
      refuse(socket, refusal);
    });
  }

  /** Answers a request with 101, and calls `start`; or refuses it if it is not a proper request for a WebSocket. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, start: Start): void {
    let client: WebSocket | undefined;
    let connection: Socket | undefined;
    const onFault = (error: unknown) => {
      this.#log(`a WebSocket was ended by an error in the gateway: ${messageOf(error)}`);
      connection?.destroy();
    };
    const messages = new BinaryMessages(
      (reader) => {
        // The http module's servers give a Socket.
        connection = readInto(socket, head, guarded(reader, onFault)) as Socket;
        guard(connection, onFault);
        return connection;
      },
      this.#longest,
      () => client,
    );
    guard(messages, onFault);
    try {
      this.#server.handleUpgrade(request, messages, NOTHING, (made) => {
        client = made;
        guard(client, onFault);
        start(client, connection!);
      });
    } catch (error) {
      onFault(error);
    }
  }

  /** Ends all remaining WebSockets without the closing handshake. */
  terminate(): void {
    for (const client of this.#server.clients) client.terminate();
  }
}

/** A reader whose failure goes to `onFault`. */
function guarded(reader: Reader, onFault: (error: unknown) => void): Reader {
  return {
    place() {
      try {
        return reader.place();
      } catch (error) {
        onFault(error);
        return DISCARDED;
      }
    },
    take(bytes) {
      if (bytes.buffer === DISCARDED.buffer) return;
      try {
        reader.take(bytes);
      } catch (error) {
        onFault(error);
      }
    },
  };
}
