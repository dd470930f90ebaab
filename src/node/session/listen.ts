import { setMaxListeners } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { checkExport } from "../../export/check-export.ts";
import type { Export } from "../../export/export.ts";
import { checkName } from "../../nbd/option/name.ts";
import type { OnExportError } from "../../nbd/server/export-faults.ts";
import { serveClient } from "../../nbd/server/nbd-server.ts";
import { ByteBudget } from "../../streams/budget.ts";
import { checkAmount, checkMethods, checkType, LONGEST_TIMER } from "../../streams/check.ts";
import { Ended } from "../../streams/ended.ts";
import type { Address } from "../config/address.ts";
import { socketTransport } from "../socket.ts";
import { addressOf } from "./address-argument.ts";
import { bind, boundAddress } from "./bind.ts";

/**
 * Bytes of payload in flight for all local clients of the process; for those who hold nothing while others hold all of
 * that; and at most for one of them.
 */
const PROCESS_BUDGET = 1 << 26;
const RESERVE = 1 << 26;
const CLIENT_SHARE = 1 << 22;
/** Bytes in flight that every client may have, however many there are: a request of nbdcopy, of the kernel. */
const ASSURED = 1 << 18;

/** Milliseconds that a client is given to choose the export. */
const HANDSHAKE_TIME = 30_000;

/** Milliseconds that clients are given to take their last replies and hang up. */
const GOODBYE_TIME = 200;

/** What bounds the memory that local clients can take: one for each process. */
export function processBudget(): ByteBudget {
  return new ByteBudget(PROCESS_BUDGET, { reserve: RESERVE, assured: ASSURED });
}

export interface ListenOptions {
  /** Bytes for all clients together; share one budget among all listeners of a process. Default: `processBudget()`. */
  budget?: ByteBudget;
  /** Milliseconds after which a client that has not chosen the export is hung up on. Default 30,000. */
  handshakeTime?: number;
  /** The export's name. Clients may ask for it, or for "". */
  name?: string;
  /** Called when the export has failed at a request of a client; see `NbdServerOptions`. */
  onerror?: OnExportError | undefined;
}

export interface Listener {
  /** Where it listens; a port of 0 has become the one that was free. */
  readonly address: Address;
  /** Stops listening, answers what is outstanding, hangs up. A client that does not take its replies is cut off. */
  close(): Promise<void>;
}

/**
 * Offers an export to local NBD clients, any number at once, on a unix or TCP socket. A unix socket has mode
 * 0600; a stale socket file is taken over, one that somebody listens on is not.
 *
 * The clients share `budget`: one that stops reading holds its share, and delays no other.
 *
 * @param address also as "unix:PATH" or "tcp:HOST:PORT"
 * @throws TypeError, RangeError when an argument is not what it should be
 * @throws Error when the address is in use or cannot be had
 */
export async function listen(
  target: Export,
  address: Address | string,
  options: ListenOptions = {},
): Promise<Listener> {
  const where = addressOf(address);
  const { server, close } = clientServer(target, options);
  await bind(server, where);
  return { address: boundAddress(server, where), close };
}

/** As `listen`, on a socket that listens already, given by its descriptor. */
export async function listenOn(
  target: Export,
  fd: number,
  options: ListenOptions = {},
): Promise<Pick<Listener, "close">> {
  const { server, close } = clientServer(target, options);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ fd }, resolve);
  });
  return { close };
}

/** A server that is not bound yet, and how to close it. */
function clientServer(target: Export, options: ListenOptions): { server: Server } & Pick<Listener, "close"> {
  const { budget = processBudget(), handshakeTime = HANDSHAKE_TIME, name = "", onerror } = options;
  checkExport(target);
  checkMethods(budget, "the budget", "a ByteBudget", ["share"]);
  checkAmount(handshakeTime, "handshakeTime, in milliseconds,", 0, LONGEST_TIMER);
  checkName(name, "the name of the export");
  if (onerror !== undefined) checkType(onerror, "onerror", "function");
  const ending = new AbortController();
  setMaxListeners(0, ending.signal); // any number of clients, without Node's warning of a leak
  const clients = new Set<Socket>();

  const server = createServer({ allowHalfOpen: true }, (socket) => {
    clients.add(socket);
    const room = budget.share(CLIENT_SHARE);
    const late = setTimeout(() => socket.destroy(), handshakeTime);
    socket.once("close", () => {
      clearTimeout(late);
      clients.delete(socket);
      room.close();
    });
    const onTransmission = () => clearTimeout(late);
    const served = { name, room, signal: ending.signal, onTransmission, onerror };
    serveClient(socketTransport(socket), target, served)
      // A client that breaks the protocol, or off, has harmed nobody but itself.
      .catch(() => {})
      .finally(() => hangUp(socket));
  });
  // A connection that cannot be accepted, as with too many open files, is that client's misfortune only.
  server.on("error", () => {});
  return {
    server,
    async close() {
      const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
      ending.abort(new Ended("the export goes away"));
      const cutOff = setTimeout(() => {
        for (const socket of clients) socket.destroy();
      }, GOODBYE_TIME);
      await stopped;
      clearTimeout(cutOff);
    },
  };
}

/** Ends a connection whose last bytes are on their way; destroying a TCP socket at once could lose them. */
function hangUp(socket: Socket) {
  if (socket.destroyed) return;
  const timer = setTimeout(() => socket.destroy(), GOODBYE_TIME);
  socket.once("close", () => clearTimeout(timer));
}
