import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import { Duplex } from "node:stream";
import { messageOf } from "../../streams/message-of.ts";
import type { Config } from "../config/config.ts";
import type { Access } from "../login/access.ts";
import {
  admission,
  checks as allChecks,
  type Check,
  otherOrigin,
  type Refusal,
  rulesOf,
} from "./admission.ts";
import { refuse, sendRefusal } from "./answers.ts";
import { type ClientError, PLAIN_HTTP, refusalOf } from "./client-error.ts";
import { Connections } from "./connections.ts";
import { allowReading } from "./cross-origin.ts";
import { guard } from "./guard.ts";
import type { PageFiles } from "./page-files.ts";
import { plainDoors } from "./plain-doors.ts";
import type { Proxies } from "./proxies.ts";
import type { Pull } from "./pulls.ts";
import { refusalLine } from "./refusal-line.ts";
import type { Events } from "./status/events.ts";
import type { Overview } from "./status/overview.ts";
import type { Certificates } from "./tls/certificates.ts";
import { below, limitHandshakes, secureContext } from "./tls/handshakes.ts";
import { visitOf } from "./visit.ts";
import { WebSocketLimit } from "./web-socket-limit.ts";
import { credentialIn } from "./who.ts";

/** Milliseconds between two looks for clients whose request takes too long. */
const REQUEST_LOOK = 2_000;

/** How many requests a connection may make. */
const REQUESTS = 100;

const BROKEN: Refusal = { status: 500, words: "the gateway failed; its log says why" };
const ENDING: Refusal = { status: 503, words: "the gateway is ending" };

export interface FrontOptions {
  config: Config;
  /** Speaks TLS with these. */
  tls?: Certificates | undefined;
  /** The only ones who are let in, and believed in what they tell of others. */
  proxies?: Proxies | undefined;
  /** Names that are allowed besides those of the configuration and of the certificate. */
  names?: readonly string[];
  page: PageFiles;
  /** The most connections at the same time. */
  maxConnections: number;
  /** Decides who gets in; undefined: everybody who may come does. */
  access?: Access | undefined;
  /** What is asked of everybody. A test leaves something out. Default: all. */
  checks?: readonly Check[];
  /** Lets nobody in any more once it is aborted. */
  signal: AbortSignal;
  /** Ends the session of a configuration in order; false if there is none. Rejects if its end was not in order. */
  eject(name: string): Promise<boolean>;
  /** Has a file that is fetched from here become the disk of a configuration; see `Pulls`. */
  pull(pull: Pull): Promise<string | undefined>;
  /** What each configuration is at, for those who look, and for those who go on looking. */
  overview: Overview;
  events: Events;
  /** Takes over the connection of a request for a WebSocket that was let in. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer, address: string): void;
  /** Takes a line for people; must not throw. */
  log(line: string): void;
}

/**
 * The HTTP server in front of everything, which does not listen yet. Each request goes through `admission` first. What
 * goes wrong in a handler costs its connection an answer with status 500, or its end, and a line of the log.
 */
export function front(options: FrontOptions): Server | SecureServer {
  const {
    config,
    page,
    maxConnections,
    access,
    checks = allChecks,
    signal,
    eject,
    pull,
    upgrade,
    log,
  } = options;
  const { tls, proxies, names = [], overview, events } = options;
  const { limits } = config;
  const rules = {
    config,
    access,
    get names() {
      return [...names, ...(tls?.current.names ?? [])];
    },
  };
  const settings = {
    headersTimeout: limits.handshakeTime,
    requestTimeout: limits.handshakeTime,
    connectionsCheckingInterval: REQUEST_LOOK,
    keepAliveTimeout: limits.idleTime,
    maxHeaderSize: limits.headerBytes,
    requireHostHeader: false, // admission sees to it
  };
  const server = tls
    ? createSecureServer({ ...settings, ...secureContext(tls.current) })
    : createServer(settings);
  if (tls) limitHandshakes(server, limits.handshakeTime);
  server.maxRequestsPerSocket = REQUESTS;
  // Node drops what is beyond this, without a word; one more than the limit shows that there were too many.
  server.maxHeadersCount = limits.headers + 1;
  guard(server, (error, event, args) => {
    log(`an error in the gateway, at "${String(event)}": ${messageOf(error)}`);
    for (const one of args) if (one instanceof Duplex) one.destroy();
  });
  const connections = new Connections(server, { limit: maxConnections, hasLogin: access !== undefined, log });
  const webSockets = new WebSocketLimit(limits);
  const lasts = (response: ServerResponse) => connections.lasts(response);
  const { doorOf, answers } = plainDoors({ config, page, access, eject, pull, overview, events, lasts, log });

  function onRequest(request: IncomingMessage, response: ServerResponse) {
    if (!connections.begin(request, response)) return;
    const onFault = (error: unknown) => {
      log(refusalLine(request, { ...BROKEN, advice: messageOf(error) }));
      if (response.headersSent) response.destroy();
      else sendRefusal(response, BROKEN);
    };
    try {
      const visit = visitOf(request, proxies);
      const door = doorOf(request);
      const origin = otherOrigin(visit, door, rules);
      if (origin !== undefined) allowReading(response, origin);
      const refusal = admission(visit, door, rules, checks);
      if (refusal) {
        // The login of a program ends with its WebSocket, often before it asks for that.
        if (door !== "logout" || refusal.status !== 401) log(refusalLine(request, refusal));
        return sendRefusal(response, refusal);
      }
      if (!rulesOf(door).isPublic) connections.recognise(request.socket);
      answers[door](request, response, visit)?.catch(onFault);
    } catch (error) {
      onFault(error);
    }
  }

  /** Has what comes with a socket, which is not the server's any more. */
  const onSocket =
    (door: "session" | "tunnel") => (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      if (!connections.isInTurn(socket)) return;
      try {
        const visit = visitOf(request, proxies);
        const refusal =
          admission(visit, door, rules, checks) ??
          (signal.aborted ? ENDING : webSockets.admit(socket, visit.address));
        if (!refusal) {
          connections.recognise(socket);
          const credential = access && credentialIn(visit, true, access);
          if (credential) socket.once("close", access.hold(credential.secret));
          return upgrade(request, socket, head, visit.address);
        }
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
    // Who does not speak TLS is answered without.
    refuse(error.code === PLAIN_HTTP ? (below(socket) ?? socket) : socket, refusal);
  });
  return server;
}
