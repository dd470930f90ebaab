import { setMaxListeners } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { checkExport } from "../../export/check-export.ts";
import type { Export } from "../../export/export.ts";
import type { OnExportError } from "../../export/failed-request.ts";
import { checkName } from "../../nbd/option/name.ts";
import { serveClient } from "../../nbd/server/nbd-server.ts";
import { ByteBudget } from "../../streams/budget.ts";
import { checkAmount, checkMethods, checkType, checkWhole, LONGEST_TIMER } from "../../streams/check.ts";
import { deadline } from "../../streams/deadline.ts";
import { type AsyncDisposable, disposable } from "../../streams/disposable.ts";
import { Ended } from "../../streams/ended.ts";
import { AddressError } from "../address-error.ts";
import { type Address, formatAddress } from "../config/address.ts";
import type { Log } from "../log/log.ts";
import { seldom } from "../seldom.ts";
import { socketTransport } from "../socket.ts";
import { addressOf } from "./address-argument.ts";
import { type ClaimedAddress, claimAddress } from "./bind.ts";

/**
 * Bytes of payload in flight: for all local clients of the process; beyond that, for clients that hold nothing; and at
 * most for one client.
 */
const PROCESS_BUDGET = 1 << 26;
const RESERVE = 1 << 26;
const CLIENT_SHARE = 1 << 22;
/**
 * Bytes in flight that a client may have though others hold all of that, a request of nbdcopy or of the kernel; and for how
 * many clients of the process there is room for it: those of four listeners.
 */
const ASSURED = 1 << 18;
const ASSURED_CLIENTS = 256;

/** Clients of one listener. Programs open up to 16 connections each. */
const MAX_CLIENTS = 64;

/** Milliseconds that a client is given to choose the export. */
const HANDSHAKE_TIME = 30_000;

/** Milliseconds that clients are given to take their last replies and hang up. */
const GOODBYE_TIME = 200;

/** What bounds the memory that local clients can take: one for each process. */
export function processBudget(): ByteBudget {
  const assuredToAll = ASSURED * ASSURED_CLIENTS;
  return new ByteBudget(PROCESS_BUDGET, { reserve: RESERVE, assured: ASSURED, assuredToAll });
}

export interface ListenOptions {
  /** Bytes for all clients together; share one budget among all listeners of a process. Default: `processBudget()`. */
  budget?: ByteBudget;
  /** Clients that may be connected. One more is hung up on before anything is allocated for it. Default 64. */
  maxClients?: number;
  /** Takes a line for people when that happens; one every 10 s at most, as anybody who may connect can have it happen. */
  log?: Log;
  /** Milliseconds after which a client that has not chosen the export is hung up on. Default 30,000. */
  handshakeTime?: number;
  /** The export's name. Clients may ask for it, or for "". */
  name?: string;
  /** Called when the export has failed at a request of a client; see `NbdServerOptions`. */
  onerror?: OnExportError | undefined;
}

export interface Listener extends AsyncDisposable {
  /** Where it listens; a port of 0 has become the one that was free. */
  readonly address: Address;
  /** Stops listening, answers what is outstanding, hangs up. A client that does not take its replies is cut off. */
  close(): Promise<void>;
}

/**
 * Offers an export to local NBD clients, `maxClients` at once, on a unix or TCP socket. A unix socket has mode 0600; a stale
 * socket file is taken over, one that somebody listens on is not.
 *
 * The clients share `budget`: one that stops reading holds its share, and delays no other.
 *
 * @param address also as "unix:PATH" or "tcp:HOST:PORT"
 * @throws TypeError, RangeError when an argument is not what it should be
 * @throws Error with the address, and a `code` as of Node's errors, when it is in use or cannot be had
 */
export async function listen(
  target: Export,
  address: Address | string,
  options: ListenOptions = {},
): Promise<Listener> {
  const wanted = addressOf(address);
  try {
    return await listenAt(await claimAddress(wanted), target, options);
  } catch (error) {
    if (!(error instanceof AddressError)) throw error;
    const { message, code } = error;
    throw new AddressError(`listening on ${formatAddress(wanted)}: ${message}`, code, { cause: error });
  }
}

/** As `listen`, at an address that was claimed before. When it fails, the address is given back. */
export async function listenAt(
  claimed: ClaimedAddress,
  target: Export,
  options: ListenOptions = {},
): Promise<Listener> {
  try {
    const { close } = serveClients(claimed.server, target, options);
    const address = await claimed.open();
    return disposable({
      address,
      async close() {
        await claimed.close();
        await close();
      },
    });
  } catch (error) {
    await claimed.close();
    throw error;
  }
}

/** As `listen`, on a socket that listens already, given by its descriptor. */
export async function listenOn(
  target: Export,
  fd: number,
  options: ListenOptions = {},
): Promise<Pick<Listener, "close">> {
  const server = createServer({ allowHalfOpen: true });
  const { close } = serveClients(server, target, options);
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ fd }, resolve);
  });
  return { close };
}

/** Serves the clients of a server, and closes it. */
function serveClients(server: Server, target: Export, options: ListenOptions): Pick<Listener, "close"> {
  const { budget = processBudget(), handshakeTime = HANDSHAKE_TIME, name = "" } = options;
  const { maxClients = MAX_CLIENTS, log, onerror } = options;
  checkExport(target);
  checkMethods(budget, "the budget", "a ByteBudget", ["share"]);
  checkWhole(maxClients, "maxClients", 1);
  checkAmount(handshakeTime, "handshakeTime, in milliseconds,", 0, LONGEST_TIMER);
  checkName(name, "the name of the export");
  if (log !== undefined) checkType(log, "log", "function");
  if (onerror !== undefined) checkType(onerror, "onerror", "function");
  const ending = new AbortController();
  setMaxListeners(0, ending.signal); // any number of clients, without Node's warning of a leak
  const clients = new Set<Socket>();
  const full = `hung up on a further client: ${maxClients} are connected, which is the limit (max-clients)`;
  const dropped = seldom(
    (line) => log?.(line, "warning"),
    (count) => `hung up on ${count} more`,
  );

  server.on("connection", (socket) => {
    clients.add(socket);
    const room = budget.share(CLIENT_SHARE);
    const endHandshakeTime = deadline(handshakeTime, () => socket.destroy());
    socket.once("close", () => {
      endHandshakeTime();
      clients.delete(socket);
      room.close();
    });
    const onTransmission = endHandshakeTime;
    const served = { name, room, signal: ending.signal, onTransmission, onerror, endsWhenGivenUp: true };
    serveClient(socketTransport(socket), target, served)
      // A client that breaks the protocol, or off, has harmed nobody but itself.
      .catch(() => {})
      .finally(() => hangUp(socket));
  });
  server.maxConnections = maxClients;
  server.on("drop", () => dropped.add(full));
  // A connection that cannot be accepted, as with too many open files, is that client's misfortune only.
  server.on("error", () => {});
  return {
    async close() {
      const stopped = new Promise<void>((resolve) => server.close(() => resolve()));
      ending.abort(new Ended("the export goes away"));
      const callOff = deadline(GOODBYE_TIME, () => {
        for (const socket of clients) socket.destroy();
      });
      await stopped;
      callOff();
      dropped.end();
    },
  };
}

/** Ends a connection whose last bytes are on their way; destroying a TCP socket at once could lose them. */
function hangUp(socket: Socket) {
  if (socket.destroyed) return;
  socket.once(
    "close",
    deadline(GOODBYE_TIME, () => socket.destroy()),
  );
}
