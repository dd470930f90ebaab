import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import { messageOf } from "../../streams/message-of.ts";
import type { Config } from "../config/config.ts";
import type { GatewayLimits } from "../config/limits.ts";
import { addressOf } from "./address-of.ts";
import { admission, type Refusal } from "./admission.ts";
import { refuse, sendRefusal } from "./answers.ts";
import { type ClientError, refusalOf } from "./client-error.ts";
import { Connections } from "./connections.ts";
import { guard } from "./guard.ts";
import type { PageFiles } from "./page-files.ts";
import { plainDoors } from "./plain-doors.ts";
import { refusalLine } from "./refusal-line.ts";
import { WebSocketLimit } from "./web-socket-limit.ts";

/** Milliseconds between two looks for clients whose request takes too long. */
const REQUEST_LOOK = 2_000;

/** How many requests a connection may make. */
const REQUESTS = 100;

const BROKEN: Refusal = { status: 500, words: "the gateway failed; its log says why" };
const ENDING: Refusal = { status: 503, words: "the gateway is ending" };

export interface FrontOptions {
  config: Config;
  page: PageFiles;
  /** The most connections at the same time. */
  maxConnections: number;
  /** Lets nobody in any more once it is aborted. */
  signal: AbortSignal;
  /** Takes over the connection of a request for a WebSocket that was let in. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Takes a line for people; must not throw. */
  log(line: string): void;
}

/**
 * The HTTP server in front of everything, which does not listen yet. Each request goes through `admission` first. What
 * goes wrong in a handler costs its connection an answer with status 500, or its end, and a line of the log.
 */
export function front(options: FrontOptions): Server {
  const { config, page, maxConnections, signal, upgrade, log } = options;
  const { limits } = config;
  const server = createServer({
    headersTimeout: limits.handshakeTime,
    requestTimeout: limits.handshakeTime,
    connectionsCheckingInterval: REQUEST_LOOK,
    keepAliveTimeout: limits.idleTime,
    maxHeaderSize: limits.headerBytes,
    requireHostHeader: false, // admission sees to it
  });
  server.maxRequestsPerSocket = REQUESTS;
  // Node drops what is beyond this, without a word; one more than the limit shows that there were too many.
  server.maxHeadersCount = limits.headers + 1;
  guard(server, (error, event, args) => {
    log(`an error in the gateway, at "${String(event)}": ${messageOf(error)}`);
    for (const one of args) if (one instanceof Duplex) one.destroy();
  });
  const connections = new Connections(server, maxConnections, log);
  const webSockets = new WebSocketLimit(limits);
  const { doorOf, answers } = plainDoors(config, page, log);

  function onRequest(request: IncomingMessage, response: ServerResponse) {
    if (!connections.begin(request, response)) return;
    try {
      const door = doorOf(request);
      const refusal = tooMany(request, limits) ?? admission(request, door, config.allowedHosts);
      if (!refusal) return answers[door](request, response);
      log(refusalLine(request, refusal));
      sendRefusal(response, refusal);
    } catch (error) {
      log(refusalLine(request, { ...BROKEN, advice: messageOf(error) }));
      if (response.headersSent) response.destroy();
      else sendRefusal(response, BROKEN);
    }
  }

  /** Has what comes with a socket, which is not the server's any more. */
  const onSocket =
    (door: "session" | "tunnel") => (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (!connections.isInTurn(socket)) return;
      try {
        const refusal =
          tooMany(request, limits) ??
          admission(request, door, config.allowedHosts) ??
          (signal.aborted ? ENDING : webSockets.admit(socket, addressOf(socket)));
        if (!refusal) return upgrade(request, socket, head);
        log(refusalLine(request, refusal));
        refuse(socket, refusal);
      } catch (error) {
        log(refusalLine(request, { ...BROKEN, advice: messageOf(error) }));
        refuse(socket, BROKEN);
      }
    };

  server.on("request", onRequest);
  // Without these, Node would ask for the body before anybody has seen the request.
  server.on("checkContinue", onRequest);
  server.on("checkExpectation", onRequest);
  server.on("upgrade", onSocket("session"));
  server.on("connect", onSocket("tunnel"));
  server.on("clientError", (error: ClientError, socket: Duplex) => {
    const refusal = refusalOf(error, socket);
    if (!refusal) return socket.destroy();
    // It came behind a request whose answer is on its way, and ends the connection.
    if (connections.isAnswering(socket) || socket.writableEnded) return socket.end(() => socket.destroy());
    log(`refused a connection with ${refusal.status}: ${refusal.advice}`);
    refuse(socket, refusal);
  });
  return server;
}

/** Refuses a request with more headers than were looked at. */
function tooMany({ rawHeaders }: IncomingMessage, { headers }: GatewayLimits): Refusal | undefined {
  if (rawHeaders.length / 2 <= headers) return undefined;
  return { status: 431, words: `the request has more than ${headers} headers` };
}
