import { setMaxListeners } from "node:events";
import type { Server as SecureServer } from "node:https";
import { UnflushedMemory } from "../../export/resume/unflushed-memory.ts";
import { checkAmount, checkObject, checkType, checkWhole, LONGEST_TIMER } from "../../streams/check.ts";
import { deadline } from "../../streams/deadline.ts";
import { type AsyncDisposable, disposable } from "../../streams/disposable.ts";
import type { MemoryBudget } from "../../streams/memory-budget.ts";
import { messageOf } from "../../streams/message-of.ts";
import type { Config } from "../config/config.ts";
import { type ConfigChange, LiveConfig } from "../config/live-config.ts";
import { allowedHost } from "../host-rules.ts";
import { checkLogTarget, type LogTarget } from "../log/log.ts";
import type { Access } from "../login/access.ts";
import { isLoopback } from "../loopback.ts";
import { ProcessMemory } from "../process-memory.ts";
import { processBudget } from "../session/listen.ts";
import type { SocketPermissions } from "../session/socket-permissions.ts";
import { type InheritedSocket, judgeSocketFile } from "../systemd/inherited-socket.ts";
import { front } from "./front.ts";
import { unfailing } from "./guard.ts";
import { LimitedLog } from "./limited-log.ts";
import { listenFor } from "./listen-for.ts";
import { readPageFiles } from "./page-files.ts";
import { Proxies } from "./proxies.ts";
import { Pulls } from "./pulls.ts";
import { Sessions } from "./sessions.ts";
import { Board } from "./status/board.ts";
import { Events } from "./status/events.ts";
import { Overview } from "./status/overview.ts";
import { asksToTakeOver } from "./take-over.ts";
import type { Certificates } from "./tls/certificates.ts";
import { secureContext } from "./tls/handshakes.ts";
import { WebSockets } from "./web-sockets.ts";

export interface GatewayOptions {
  config: Config;
  /** The address to listen on, beyond the loopback interface only with TLS or behind a proxy. Default 127.0.0.1. */
  host?: string;
  /** Default 8000; 0 is one that is free. */
  port?: number;
  /** Speaks TLS with these, as `certificateFiles` and `selfSigned` make them. Whoever made them closes them. */
  tls?: Certificates | undefined;
  /**
   * Reverse proxies through which it is reached, as IP addresses; everybody else is refused. "unix:PATH" listens there, in
   * place of host and port, and who connects there is a proxy.
   */
  behindProxy?: readonly string[] | undefined;
  /** Mode and group of that socket. Default: 0600, and the group of this process. */
  socketPermissions?: SocketPermissions | undefined;
  /**
   * Sockets that listen already, as `inheritedSockets()` finds them, in place of host and port. Each is judged by its address as a
   * host is; on a unix socket proxies connect, so `behindProxy` has to name one. They belong to the gateway from then on; when one
   * cannot be listened on, those before it are closed.
   */
  sockets?: readonly InheritedSocket[] | undefined;
  /**
   * Decides who gets in: `tokenAccess()` asks for a token. It stays the caller's, who closes it after the gateway. Default: there
   * is no login, and every user and program of this machine gets in. Behind a proxy, where all who reach the proxy would
   * get in, that has to be asked for: "everybody", as where the proxy has a login of its own.
   */
  access?: Access | "everybody";
  /** The folder with the page, which is read once: at most 1,000 files of 16 MiB in all. */
  staticFolder: string;
  /**
   * The most connections at the same time, sessions and all else; a new one is answered 503. Default: 64 more than the
   * configuration allows WebSockets and readers of events, so that these cannot keep out all else.
   */
  maxConnections?: number;
  /** Milliseconds between pings of a silent WebSocket, which is given up after three to four of them. Default 10,000. */
  pingInterval?: number;
  /** Milliseconds after which memory that was not used is given back, at the latest. Default 24,000. */
  idleTime?: number;
  /**
   * Takes a line for people when something happens: one that has no line breaks or other control characters in it, and
   * never so many that somebody else could flood it. An object with `record` takes the same as data.
   */
  log: LogTarget;
}

export interface Gateway extends AsyncDisposable {
  /** Where the page is. */
  readonly url: string;
  /**
   * Has another configuration hold from now on. A session goes on with the one that it began with, a configuration that is gone
   * included; what follows it has the new one.
   * @returns what is different
   */
  reload(config: Config): ConfigChange;
  /** What the caches of all sessions, and spare memory, hold. */
  readonly kept: MemoryBudget;
  /**
   * Ends every session in order and stops listening.
   * @throws Error when something is lost that was written in one of them, or its state hook failed; the log says what
   */
  close(): Promise<void>;
}

/** Why the gateway does not listen on an address that other machines reach. */
function notSafe(host: string): string {
  return (
    `listening on ${host} is refused: beyond loopback what is sent can be read and changed on the way; ` +
    "use --tls-cert and --tls-key, --tls-self-signed, or --behind-proxy with a reverse proxy that speaks TLS"
  );
}

/** @throws Error when the gateway must not listen there */
function judgeHost(host: string, { isSafe, hasLogin }: { isSafe: boolean; hasLogin: boolean }): void {
  if (isLoopback(host)) return;
  if (!isSafe) throw new Error(notSafe(host));
  if (!hasLogin) {
    throw new Error(
      `listening on ${host} is refused: beyond loopback it needs a login (the option "access")`,
    );
  }
}

/** @throws Error when others than proxies could connect to a unix socket that somebody else has made */
function judgeProxySocket(path: string, proxies: Proxies | undefined): void {
  try {
    if (proxies?.path === undefined)
      throw new Error("on a unix socket proxies connect; use --behind-proxy unix:PATH if they do");
    judgeSocketFile(path);
  } catch (error) {
    throw new Error(`listening on unix:${path} is refused: ${messageOf(error)}`);
  }
}

const NEEDS_LOGIN =
  'a gateway behind a proxy needs a login (the option "access"): everybody who reaches the proxy would get in; ' +
  'if that is meant, say access: "everybody"';

/** Milliseconds that connections are given to end by themselves, those of sessions after the session. */
const GOODBYE_TIME = 250;

/** Connections that there may be beside WebSockets and readers of events. */
const OTHER_CONNECTIONS = 64;

/**
 * Listens for browsers and for nbd-serve: a WebSocket to /CONFIGURATION runs a session for that configuration
 * in this process, `/` the default one. Anything else is the page, and /metadata what the page offers to choose.
 *
 * @throws Error when the host is beyond loopback without TLS or a proxy, when `access` is missing beyond loopback or behind a
 *   proxy, when the port is in use, and when the page cannot be read
 */
export async function gateway(options: GatewayOptions): Promise<Gateway> {
  checkObject(options, "the options");
  const { host = "127.0.0.1", port = 8000, staticFolder, sockets: inherited = [] } = options;
  const { maxConnections, pingInterval = 10_000, idleTime } = options;
  const { tls, behindProxy = [], socketPermissions } = options;
  checkObject(options.config, "config");
  const config = new LiveConfig(options.config);
  checkType(host, "host", "string");
  checkWhole(port, "port", 0, 65535);
  checkType(staticFolder, "staticFolder", "string");
  const { access: who } = options;
  const access = who === "everybody" ? undefined : who;
  if (access !== undefined) checkObject(access, "access");
  if (maxConnections !== undefined) checkWhole(maxConnections, "maxConnections", 1);
  checkAmount(pingInterval, "pingInterval, in milliseconds,", 1, LONGEST_TIMER);
  if (idleTime !== undefined) checkAmount(idleTime, "idleTime, in milliseconds,", 1, LONGEST_TIMER);
  checkLogTarget(options.log);
  const proxies = behindProxy.length > 0 ? new Proxies(behindProxy) : undefined;
  for (const one of inherited.length > 0 ? inherited.map(({ address }) => address) : [{ host }]) {
    if ("path" in one) judgeProxySocket(one.path, proxies);
    else judgeHost(one.host, { isSafe: Boolean(tls || proxies), hasLogin: access !== undefined });
  }
  if (proxies && who === undefined) throw new Error(NEEDS_LOGIN);
  const page = await readPageFiles(staticFolder);
  const ending = new AbortController();
  setMaxListeners(0, ending.signal); // any number of sessions, without Node's warning of a leak
  const budget = processBudget();
  const log = new LimitedLog(unfailing(options.log));
  const ofStrangers = (line: string) => log.stranger(line);
  const memory = new ProcessMemory(config.memory, budget, idleTime);
  const board = new Board();
  const overview = new Overview(config, board);
  const events = new Events({
    document: () => overview.document(),
    configuration: (name) => overview.configuration(name),
    busy: () => board.held,
    most: config.limits.eventListeners,
  });
  board.listen((name) => events.changed(name));
  const unflushed = new UnflushedMemory();
  const sessions = new Sessions({
    config,
    budget,
    memory: memory.kept,
    unflushed,
    pingInterval,
    tellsWho: access !== undefined,
    signal: ending.signal,
    log,
    board,
  });
  const pulls = new Pulls({ config, sessions, unflushed });
  const sockets = new WebSockets(ofStrangers, config.limits.frameBytes);
  const server = front({
    config,
    tls,
    proxies,
    names: inherited.length > 0 ? [] : [allowedHost(host)].filter((name) => name !== undefined),
    page,
    maxConnections:
      maxConnections ?? config.limits.webSockets + config.limits.eventListeners + OTHER_CONNECTIONS,
    access,
    signal: ending.signal,
    eject: (name) => sessions.eject(name),
    pull: (pull) => pulls.pull(pull),
    overview,
    events,
    upgrade: (request, socket, head, address) =>
      sockets.upgrade(request, socket, head, (client, connection) =>
        sessions.start(client, connection, {
          path: request.url ?? "/",
          address,
          takesOver: asksToTakeOver(request.headers),
        }),
      ),
    log: ofStrangers,
  });

  const place = { host, port, tls, path: proxies?.path, socketPermissions, inherited };
  const where = await listenFor(server, place).catch((error) => {
    memory.end();
    throw error;
  });
  // Such as EMFILE: the connection is lost, and no other.
  server.on("error", ({ message }) => ofStrangers(`taking a connection failed: ${message}`));
  if (tls) tls.onrenewed = (renewed) => (server as SecureServer).setSecureContext(secureContext(renewed));

  return disposable({
    url: where.url,
    reload(renewed: Config) {
      checkObject(renewed, "config");
      const change = config.take(renewed);
      sessions.renewed();
      board.forgetErrors([...change.changed, ...change.removed]);
      events.renewed();
      return change;
    },
    kept: memory.kept,
    async close() {
      ending.abort();
      await where.release();
      // WebSockets are none of the server's connections any more.
      const callOffRequests = deadline(GOODBYE_TIME, () => {
        events.end();
        server.closeAllConnections();
      });
      const failed = await sessions.over();
      events.end();
      log.end();
      const callOffSockets = deadline(GOODBYE_TIME, () => sockets.terminate());
      await where.emptied;
      callOffRequests();
      callOffSockets();
      memory.end();
      if (failed > 0) {
        const which = failed === 1 ? "a session has" : `${failed} sessions have`;
        throw new Error(`${which} not ended in order, for the reason above`);
      }
    },
  });
}
