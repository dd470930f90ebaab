import { setMaxListeners } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { type AddressInfo, isIP, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import sirv from "sirv";
import { type WebSocket, WebSocketServer } from "ws";
import { type Config, metadataOf } from "../config/config.ts";
import { isLoopback } from "../loopback.ts";
import { readInto } from "../read-into.ts";
import { processBudget } from "../session/listen.ts";
import { refuse, send } from "./answers.ts";
import { BinaryMessages } from "./binary-messages.ts";
import { forbidden } from "./origin.ts";
import { Sessions } from "./sessions.ts";

export interface GatewayOptions {
  config: Config;
  /** An address of the loopback interface. Default 127.0.0.1. */
  host?: string;
  /** Default 8000; 0 is one that is free. */
  port?: number;
  /** The folder with the page. */
  staticFolder: string;
  /** Milliseconds between pings of an idle WebSocket; one that stays silent for two is given up. Default 10,000. */
  pingInterval?: number;
  /** Takes a line for people when something happens. */
  log(line: string): void;
}

export interface Gateway {
  /** Where the page is. */
  readonly url: string;
  /**
   * Ends every session in order and stops listening.
   * @throws Error when something is lost that was written in one of them; the log says what
   */
  close(): Promise<void>;
}

/**
 * The longest frame of a WebSocket, in bytes: a reply or request with the longest payload. A binary message of several
 * frames may be longer, as it is handed on in pieces.
 */
const MAX_FRAME = (1 << 25) + 64;

/** Milliseconds that a client is given to say what it wants, the first line and all headers, and between two looks. */
const REQUEST_TIME = 10_000;
const REQUEST_LOOK = 2_000;

/** Milliseconds that connections are given to end by themselves, those of sessions after the session. */
const GOODBYE_TIME = 250;

const NOTHING = Buffer.alloc(0);

const SECURITY_HEADERS = {
  "Content-Security-Policy":
    "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

/**
 * Listens for browsers and for nbd-serve: a WebSocket to /CONFIGURATION runs a session for that configuration
 * in this process, `/` the default one. Anything else is the page, and /metadata what the page offers to choose.
 *
 * @throws Error when the host is not a loopback address, or the port is in use
 */
export async function gateway(options: GatewayOptions): Promise<Gateway> {
  const { config, host = "127.0.0.1", port = 8000, staticFolder, pingInterval = 10_000, log } = options;
  if (!isLoopback(host)) {
    throw new Error(
      `listening on ${host} is refused: there is no authentication yet, so only loopback addresses are safe`,
    );
  }
  const ending = new AbortController();
  setMaxListeners(0, ending.signal); // any number of sessions, without Node's warning of a leak
  const budget = processBudget();
  const sessions = new Sessions({ config, budget, pingInterval, signal: ending.signal, log });
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX_FRAME });
  const page = sirv(staticFolder, { dev: false, etag: true });

  const patience = {
    headersTimeout: REQUEST_TIME,
    requestTimeout: REQUEST_TIME,
    connectionsCheckingInterval: REQUEST_LOOK,
  };
  /** The last response on each connection: those before it have been sent when it has. */
  const responses = new WeakMap<Duplex, ServerResponse>();
  const server = createServer(patience, (request, response) => {
    responses.set(request.socket, response);
    const fault = forbidden(request, config.allowedHosts);
    if (fault) return send(response, 403, `${fault}\n`);
    for (const [name, value] of Object.entries(SECURITY_HEADERS)) response.setHeader(name, value);
    if (request.url === "/metadata") {
      // The metadata says nothing of the default, and its form is fixed.
      if (config.defaultName !== undefined)
        response.setHeader("Default-Configuration", encodeURIComponent(config.defaultName));
      return send(response, 200, JSON.stringify(metadataOf(config)), "application/json");
    }
    page(request, response, () => send(response, 404, "there is no such page\n"));
  });

  server.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const fault = forbidden(request, config.allowedHosts);
    if (fault) return refuse(socket, "403 Forbidden", fault);
    // It would be sent in the midst of what the WebSocket sends.
    if (responses.get(socket)?.writableFinished === false) {
      return refuse(socket, "400 Bad Request", "a request before this one has not been answered yet");
    }
    if (ending.signal.aborted) return refuse(socket, "503 Service Unavailable", "the gateway is ending");
    let receiver: WebSocket | undefined;
    let connection!: Socket;
    const messages = new BinaryMessages(
      (reader) => {
        // Of the http module's servers it is a Socket.
        connection = readInto(socket, head, reader) as Socket;
        return connection;
      },
      MAX_FRAME,
      (bytes) => receiver?.emit("message", bytes, true),
    );
    sockets.handleUpgrade(request, messages, NOTHING, (client) => {
      receiver = client;
      sessions.start(client, connection, request.url ?? "/");
    });
  });

  await new Promise<void>((resolve, reject) => {
    server.once("error", ({ code, message }: NodeJS.ErrnoException) => {
      const fault = code === "EADDRINUSE" ? "it is in use by another process" : message;
      reject(new Error(`listening on ${host} port ${port}: ${fault}`));
    });
    server.listen(port, host, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;

  return {
    url: `http://${isIP(host) === 6 ? `[${host}]` : host}:${bound}/`,
    async close() {
      const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
      ending.abort();
      // WebSockets are none of the server's connections any more.
      const requestsCutOff = setTimeout(() => server.closeAllConnections(), GOODBYE_TIME);
      const losses = await sessions.over();
      const socketsCutOff = setTimeout(() => {
        for (const client of sockets.clients) client.terminate();
      }, GOODBYE_TIME);
      await stopped;
      clearTimeout(requestsCutOff);
      clearTimeout(socketsCutOff);
      if (losses > 0) {
        const which = losses === 1 ? "a session has" : `${losses} sessions have`;
        throw new Error(`${which} lost what was written last, for the reason above`);
      }
    },
  };
}
