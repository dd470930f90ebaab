import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { Duplex } from "node:stream";
import { type Config, metadataOf } from "../config/config.ts";
import { admission, type Door, type Refusal } from "./admission.ts";
import { refuse, send, sendRefusal } from "./answers.ts";
import { Connections } from "./connections.ts";
import { guard, wordsOf } from "./guard.ts";
import type { PageFiles } from "./page-files.ts";
import { refusalLine } from "./refusal-line.ts";
import { nameIn } from "./sessions.ts";

/** Milliseconds that a client is given to say what it wants, the first line and all headers, and between two looks. */
const REQUEST_TIME = 10_000;
const REQUEST_LOOK = 2_000;

/** Milliseconds that a connection is kept for another request, and how many it may make. */
const IDLE_TIME = 5_000;
const REQUESTS = 100;

const NOT_UPGRADED: Refusal = {
  status: 426,
  words: "this is the path of a WebSocket",
  advice:
    "this is the path of a WebSocket, and the request does not ask for one; a reverse proxy must pass the headers Upgrade and Connection on",
  headers: { Upgrade: "websocket", Connection: "Upgrade" },
};
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
 * The HTTP server in front of everything, which does not listen yet. Each request goes through `admission` first. What goes wrong in
 * a handler costs a connection an answer with status 500 and a line of the log.
 */
export function front(options: FrontOptions): Server {
  const { config, page, maxConnections, signal, upgrade, log } = options;
  const server = createServer({
    headersTimeout: REQUEST_TIME,
    requestTimeout: REQUEST_TIME,
    connectionsCheckingInterval: REQUEST_LOOK,
    keepAliveTimeout: IDLE_TIME,
    requireHostHeader: false, // admission sees to it
  });
  server.maxRequestsPerSocket = REQUESTS;
  guard(server, (error, event, args) => {
    log(`an error in the gateway, at "${String(event)}": ${wordsOf(error)}`);
    for (const one of args) if (one instanceof Duplex) one.destroy();
  });
  const connections = new Connections(server, maxConnections, log);

  /** What is behind each door for a request that is not for a WebSocket. */
  const answers: Record<Exclude<Door, "session" | "tunnel">, Answer> = {
    page(request, response) {
      if (!page.answer(request, response)) send(response, 404, "there is no such page\n");
    },
    metadata(_request, response) {
      // The metadata says nothing of the default, and its form is fixed.
      const name = config.defaultName;
      const headers = name !== undefined && { "Default-Configuration": encodeURIComponent(name) };
      const type = { "Content-Type": "application/json; charset=utf-8" };
      send(response, 200, JSON.stringify(metadataOf(config)), { ...type, ...headers });
    },
    notUpgraded(request, response) {
      log(refusalLine(request, NOT_UPGRADED));
      send(response, NOT_UPGRADED.status, `${NOT_UPGRADED.words}\n`, NOT_UPGRADED.headers);
    },
  };

  function doorOf({ url = "", headers }: IncomingMessage): keyof typeof answers {
    // Proxies that do not know WebSockets leave this one.
    if (headers["sec-websocket-key"] !== undefined) return "notUpgraded";
    if (/^\/metadata(\?|$)/.test(url)) return "metadata";
    if (page.has(url)) return "page";
    return config.configurations.has(nameIn(url) ?? "") ? "notUpgraded" : "page";
  }

  function onRequest(request: IncomingMessage, response: ServerResponse) {
    if (!connections.begin(request, response)) return;
    try {
      const door = doorOf(request);
      const refusal = admission(request, door, config.allowedHosts);
      if (!refusal) return answers[door](request, response);
      log(refusalLine(request, refusal));
      sendRefusal(response, refusal);
    } catch (error) {
      log(refusalLine(request, { ...BROKEN, advice: wordsOf(error) }));
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
          admission(request, door, config.allowedHosts) ?? (signal.aborted ? ENDING : undefined);
        if (!refusal) return upgrade(request, socket, head);
        log(refusalLine(request, refusal));
        refuse(socket, refusal);
      } catch (error) {
        log(refusalLine(request, { ...BROKEN, advice: wordsOf(error) }));
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
    if (refusal) log(`refused a connection with ${refusal.status}: ${refusal.advice ?? refusal.words}`);
    if (refusal && socket.writable && !connections.isAnswering(socket)) refuse(socket, refusal);
    else socket.destroy();
  });
  return server;
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

type ClientError = NodeJS.ErrnoException & { rawPacket?: Uint8Array; bytesParsed?: number };

/** Statuses that say more of what cannot be understood than 400. */
const statuses: Readonly<Record<string, number>> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** The first byte of TLS. */
const TLS_HANDSHAKE = 0x16;

/** How to refuse what Node could not understand; undefined where nobody waits for an answer. */
function refusalOf({ code = "", rawPacket }: ClientError, socket: Duplex): Refusal | undefined {
  const isGone = !code.startsWith("HPE_") && statuses[code] === undefined;
  // Browsers open connections in advance.
  if (isGone || (socket as { bytesRead?: number }).bytesRead === 0) return undefined;
  const isTls = rawPacket?.[0] === TLS_HANDSHAKE;
  return {
    status: statuses[code] ?? 400,
    words: "this is not a request as HTTP has it",
    advice: isTls
      ? "it speaks TLS, and here is none: use http:// and ws://"
      : `what came is not a request as HTTP has it (${code})`,
  };
}
