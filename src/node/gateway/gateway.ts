import { setMaxListeners } from "node:events";
import { type AddressInfo, isIP } from "node:net";
import { checkAmount, checkObject, checkType, checkWhole, LONGEST_TIMER } from "../../streams/check.ts";
import { deadline } from "../../streams/deadline.ts";
import { type AsyncDisposable, disposable } from "../../streams/disposable.ts";
import type { MemoryBudget } from "../../streams/memory-budget.ts";
import { AddressError } from "../address-error.ts";
import type { Config } from "../config/config.ts";
import { isLoopback } from "../loopback.ts";
import { ProcessMemory } from "../process-memory.ts";
import { processBudget } from "../session/listen.ts";
import { front } from "./front.ts";
import { unfailing } from "./guard.ts";
import { LimitedLog } from "./limited-log.ts";
import { readPageFiles } from "./page-files.ts";
import { Sessions } from "./sessions.ts";
import { WebSockets } from "./web-sockets.ts";

export interface GatewayOptions {
  config: Config;
  /** An address of the loopback interface. Default 127.0.0.1. */
  host?: string;
  /** Default 8000; 0 is one that is free. */
  port?: number;
  /** The folder with the page, which is read once: at most 1,000 files of 16 MiB in all. */
  staticFolder: string;
  /** The most connections at the same time, sessions and all else; a new one is answered 503. Default 256. */
  maxConnections?: number;
  /** Milliseconds between pings of a silent WebSocket, which is given up after three to four of them. Default 10,000. */
  pingInterval?: number;
  /** Milliseconds after which memory that was not used is given back, at the latest. Default 24,000. */
  idleTime?: number;
  /**
   * Takes a line for people when something happens: one that has no line breaks or other control characters in it, and
   * never so many that somebody else could flood it.
   */
  log(line: string): void;
}

export interface Gateway extends AsyncDisposable {
  /** Where the page is. */
  readonly url: string;
  /** What the caches of all sessions, and spare memory, hold. */
  readonly kept: MemoryBudget;
  /**
   * Ends every session in order and stops listening.
   * @throws Error when something is lost that was written in one of them, or its state hook failed; the log says what
   */
  close(): Promise<void>;
}

/** Milliseconds that connections are given to end by themselves, those of sessions after the session. */
const GOODBYE_TIME = 250;

/**
 * Listens for browsers and for nbd-serve: a WebSocket to /CONFIGURATION runs a session for that configuration
 * in this process, `/` the default one. Anything else is the page, and /metadata what the page offers to choose.
 *
 * @throws Error when the host is not a loopback address, the port is in use, or the page cannot be read
 */
export async function gateway(options: GatewayOptions): Promise<Gateway> {
  checkObject(options, "the options");
  const { config, host = "127.0.0.1", port = 8000, staticFolder } = options;
  const { maxConnections = 256, pingInterval = 10_000, idleTime } = options;
  checkObject(config, "config");
  checkType(host, "host", "string");
  checkWhole(port, "port", 0, 65535);
  checkType(staticFolder, "staticFolder", "string");
  checkWhole(maxConnections, "maxConnections", 1);
  checkAmount(pingInterval, "pingInterval, in milliseconds,", 1, LONGEST_TIMER);
  if (idleTime !== undefined) checkAmount(idleTime, "idleTime, in milliseconds,", 1, LONGEST_TIMER);
  checkType(options.log, "log", "function");
  if (!isLoopback(host)) {
    throw new Error(
      `listening on ${host} is refused: there is no authentication yet, so only loopback addresses are safe`,
    );
  }
  const page = await readPageFiles(staticFolder);
  const ending = new AbortController();
  setMaxListeners(0, ending.signal); // any number of sessions, without Node's warning of a leak
  const budget = processBudget();
  const log = new LimitedLog(unfailing(options.log));
  const ofStrangers = (line: string) => log.stranger(line);
  const memory = new ProcessMemory(config.memory, budget, idleTime);
  const sessions = new Sessions({
    config,
    budget,
    memory: memory.kept,
    pingInterval,
    signal: ending.signal,
    log,
  });
  const sockets = new WebSockets(ofStrangers);
  const server = front({
    config,
    page,
    maxConnections,
    signal: ending.signal,
    upgrade: (request, socket, head) =>
      sockets.upgrade(request, socket, head, (client, connection) =>
        sessions.start(client, connection, request.url ?? "/"),
      ),
    log: ofStrangers,
  });

  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const fault = cause.code === "EADDRINUSE" ? "it is in use by another process" : cause.message;
      reject(new AddressError(`listening on ${host} port ${port}: ${fault}`, cause.code, { cause }));
    });
    server.listen(port, host, resolve);
  }).catch((error) => {
    memory.end();
    throw error;
  });
  // Such as EMFILE: the connection is lost, and no other.
  server.on("error", ({ message }) => ofStrangers(`taking a connection failed: ${message}`));
  const { port: bound } = server.address() as AddressInfo;

  return disposable({
    url: `http://${isIP(host) === 6 ? `[${host}]` : host}:${bound}/`,
    kept: memory.kept,
    async close() {
      const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
      ending.abort();
      // WebSockets are none of the server's connections any more.
      const callOffRequests = deadline(GOODBYE_TIME, () => server.closeAllConnections());
      const failed = await sessions.over();
      log.end();
      const callOffSockets = deadline(GOODBYE_TIME, () => sockets.terminate());
      await stopped;
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
