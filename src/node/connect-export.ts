import { connect as connectSocket, type Socket } from "node:net";
import { type NbdClientOptions, nbdClient } from "../nbd/client/nbd-client.ts";
import type { RemoteExport } from "../nbd/client/remote-export.ts";
import { parseNbdUri } from "../nbd/uri.ts";
import { checkSignal, checkType } from "../streams/check.ts";
import { deadline } from "../streams/deadline.ts";
import type { AsyncDisposable } from "../streams/disposable.ts";
import { AddressError } from "./address-error.ts";
import { type Address, formatAddress, tooLongPath } from "./config/address.ts";
import { type ConnectOptions, connect } from "./connect.ts";
import { socketFault } from "./connect-error.ts";
import { socketTransport } from "./socket.ts";

/** Milliseconds that a server is given to take a connection. */
const CONNECT_TIME = 30_000;

export interface ConnectExportOptions
  extends NbdClientOptions,
    Pick<ConnectOptions, "origin" | "token" | "fingerprint" | "ca" | "insecure" | "maxMessage"> {
  /** The export to ask for at a ws:// or wss:// URL; an NBD URI has it in itself. Default "". */
  name?: string;
}

/**
 * Connects to an NBD server, and returns its export. The connection ends when that is closed.
 *
 *     await connectExport("nbd://server:10809/name")
 *     await connectExport("nbd+unix:///name?socket=/run/nbd.sock")
 *     await connectExport("wss://server/path", { name: "name" })
 *
 * @param url an NBD URI (NetworkBlockDevice/nbd, doc/uri.md) without TLS; or the URL of a WebSocket at whose other end a server
 *   speaks NBD
 * @throws TypeError, RangeError when it is another URL, or an option is not what it should be
 * @throws AddressError when there is no connection; WebSocketError when there is no WebSocket
 * @throws all that `nbdClient` throws
 */
export async function connectExport(
  url: string | URL,
  { origin, token, fingerprint, ca, insecure, maxMessage, ...options }: ConnectExportOptions = {},
): Promise<RemoteExport & AsyncDisposable> {
  if (!(url instanceof URL)) checkType(url, "the URL of an export", "string");
  if (/^(wss?|https?):/i.test(String(url))) {
    const forWebSocket = {
      ...(origin && { origin }),
      ...(token !== undefined && { token }),
      ...(fingerprint !== undefined && { fingerprint }),
      ...(ca !== undefined && { ca }),
      ...(insecure && { insecure }),
      maxMessage,
    };
    return nbdClient(connect(String(url), forWebSocket), options);
  }
  if (maxMessage !== undefined) throw new TypeError("maxMessage is for a ws:// or wss:// URL");
  if (token !== undefined || fingerprint !== undefined || ca !== undefined || insecure) {
    throw new TypeError("a token and certificates are for a ws:// or wss:// URL");
  }
  const { address, name } = parseNbdUri(String(url));
  const fault = "path" in address && tooLongPath(address.path);
  if (fault) throw new AddressError(`connecting to ${formatAddress(address)}: ${fault}`, "ENAMETOOLONG");
  if (options.name !== undefined) throw new TypeError("the name of the export is part of an NBD URI");
  checkSignal(options.signal, "signal");
  options.signal?.throwIfAborted();
  return nbdClient(socketTransport(await open(address, options.signal)), { ...options, name });
}

/** Opens a connection. */
function open(address: Address, signal: AbortSignal | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectSocket({ ...address, allowHalfOpen: true, noDelay: true });
    const where = `connecting to ${formatAddress(address)}`;

    function fail(error: Error) {
      finish();
      socket.destroy();
      reject(error);
    }
    const failed = (error: NodeJS.ErrnoException) => fail(socketFault(where, error));
    const giveUp = () => fail(signal?.reason);
    const late = () => fail(new AddressError(`${where}: there is no answer`, "ETIMEDOUT"));
    const callOff = deadline(CONNECT_TIME, late);

    function finish() {
      callOff();
      signal?.removeEventListener("abort", giveUp);
      socket.off("error", failed);
    }
    signal?.addEventListener("abort", giveUp);
    socket.once("error", failed);
    socket.once("connect", () => {
      finish();
      resolve(socket);
    });
  });
}
