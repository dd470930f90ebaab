import { type AddressInfo, isIP, type Server } from "node:net";
import { hostname } from "node:os";
import { messageOf } from "../../streams/message-of.ts";
import { AddressError } from "../address-error.ts";
import { claimSocketFolder } from "../session/socket-folder.ts";
import { claimSocketPath } from "../session/socket-path.ts";
import type { SocketPermissions } from "../session/socket-permissions.ts";
import type { Certificates } from "./tls/certificates.ts";

/** Where a gateway is to listen. */
export interface ListenPlace {
  host: string;
  port: number;
  tls: Certificates | undefined;
  /** A unix socket, in place of host and port. */
  path: string | undefined;
  socketPermissions: SocketPermissions | undefined;
}

/** Where a gateway listens. */
export interface Listening {
  /** Where the page is; "unix:PATH" for a unix socket. */
  url: string;
  /** Removes the unix socket. */
  release(): Promise<void>;
}

/**
 * Has the gateway's server listen.
 * @throws AddressError when that is not possible
 */
export async function listenFor(server: Server, place: ListenPlace): Promise<Listening> {
  const { host, port, tls, path, socketPermissions = {} } = place;
  if (path !== undefined) return listenAtPath(server, path, socketPermissions);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const fault = cause.code === "EADDRINUSE" ? "it is in use by another process" : cause.message;
      reject(new AddressError(`listening on ${host} port ${port}: ${fault}`, cause.code, { cause }));
    });
    server.listen(port, host, resolve);
  });
  const name = shownHost(host, tls);
  const { port: bound } = server.address() as AddressInfo;
  const scheme = tls ? "https" : "http";
  return {
    url: `${scheme}://${isIP(name) === 6 ? `[${name}]` : name}:${bound}/`,
    release: async () => {},
  };
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
    return { url: `unix:${path}`, release: () => claimed.release() };
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
