import { type AddressInfo, createServer, isIP, type Server } from "node:net";
import { hostname } from "node:os";
import { messageOf } from "../../streams/message-of.ts";
import { AddressError } from "../address-error.ts";
import { formatAddress } from "../config/address.ts";
import { claimSocketFolder } from "../session/socket-folder.ts";
import { claimSocketPath } from "../session/socket-path.ts";
import type { SocketPermissions } from "../session/socket-permissions.ts";
import { startListening } from "../session/start-listening.ts";
import type { InheritedSocket } from "../systemd/inherited-socket.ts";
import type { Certificates } from "./tls/certificates.ts";

/** Where a gateway is to listen. */
export interface ListenPlace {
  host: string;
  port: number;
  tls: Certificates | undefined;
  /** A unix socket, in place of host and port. */
  path: string | undefined;
  socketPermissions: SocketPermissions | undefined;
  /** Sockets that listen already, in place of all of that. */
  inherited: readonly InheritedSocket[];
}

/** Where a gateway listens. */
export interface Listening {
  /** Where the page is; "unix:PATH" for a unix socket. */
  url: string;
  /** Lets nobody in any more, and removes the unix socket. */
  release(): Promise<void>;
  /** Resolves when all connections have ended, once nobody is let in any more. */
  emptied: Promise<void>;
}

/**
 * Has the gateway's server listen.
 * @throws AddressError when that is not possible
 */
export async function listenFor(server: Server, place: ListenPlace): Promise<Listening> {
  const { host, port, tls, path, socketPermissions = {}, inherited } = place;
  if (inherited.length > 0) return listenOnInherited(server, inherited, tls);
  if (path !== undefined) return listenAtPath(server, path, socketPermissions);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const fault = cause.code === "EADDRINUSE" ? "it is in use by another process" : cause.message;
      reject(new AddressError(`listening on ${host} port ${port}: ${fault}`, cause.code, { cause }));
    });
    server.listen(port, host, resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  return { url: urlOf(host, bound, tls), ...releasing(server) };
}

function urlOf(host: string, port: number, tls: Certificates | undefined): string {
  const name = shownHost(host, tls);
  return `${tls ? "https" : "http"}://${isIP(name) === 6 ? `[${name}]` : name}:${port}/`;
}

/** How servers let nobody in any more. */
function releasing(...servers: readonly Server[]): Pick<Listening, "release" | "emptied"> {
  const closed = servers.map(
    (server) => new Promise<void>((resolve) => server.once("close", () => resolve())),
  );
  return {
    async release() {
      for (const server of servers) server.close();
    },
    emptied: Promise.all(closed).then(() => {}),
  };
}

/**
 * A server listens on one socket only; what comes to the others is handed to it. When one cannot be listened on, none is: those
 * that were taken over are closed.
 */
async function listenOnInherited(
  server: Server,
  inherited: readonly InheritedSocket[],
  tls: Certificates | undefined,
): Promise<Listening> {
  // As a server for HTTP has its sockets, and one for TLS.
  const options = { allowHalfOpen: tls === undefined, noDelay: true };
  const doors = inherited
    .slice(1)
    .map(() => createServer(options, (socket) => void server.emit("connection", socket)));
  const servers = [server, ...doors];
  for (const [i, { fd, address }] of inherited.entries()) {
    try {
      await startListening(servers[i]!, { fd });
    } catch (error) {
      for (const one of servers) one.close();
      const { code } = error as NodeJS.ErrnoException;
      const words = `listening on ${formatAddress(address)}, descriptor ${fd}: ${messageOf(error)}`;
      throw new AddressError(words, code, { cause: error });
    }
  }
  for (const door of doors) door.on("error", (error) => void server.emit("error", error));
  const { address } = inherited[0]!;
  const url = "path" in address ? `unix:${address.path}` : urlOf(address.host, address.port, tls);
  return { url, ...releasing(...servers) };
}

async function listenAtPath(
  server: Server,
  path: string,
  permissions: SocketPermissions,
): Promise<Listening> {
  try {
    claimSocketFolder(path);
    const claimed = await claimSocketPath(path, permissions);
    await claimed.listen(server).catch(async (error) => {
      await claimed.release();
      throw error;
    });
    const { release, emptied } = releasing(server);
    return {
      url: `unix:${path}`,
      emptied,
      async release() {
        await release();
        await claimed.release();
      },
    };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new AddressError(`listening on unix:${path}: ${messageOf(error)}`, code, { cause: error });
  }
}

/** The host of the URL: the one that is listened on, unless the certificate is for others, or it stands for all addresses. */
function shownHost(host: string, tls: Certificates | undefined): string {
  const isAll = host === "0.0.0.0" || host === "::";
  const { names, addresses, isSelfSigned } = tls?.current ?? { names: [], addresses: [], isSelfSigned: true };
  const isCovered = isSelfSigned || names.includes(host) || addresses.includes(host);
  if (isCovered && !isAll) return host;
  const others = names.filter((name) => !name.startsWith("*.") && name !== "localhost");
  return others[0] ?? (isAll ? hostname() : host);
}
