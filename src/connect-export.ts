import { type NbdClientOptions, nbdClient } from "./nbd/client/nbd-client.ts";
import type { RemoteExport } from "./nbd/client/remote-export.ts";
import { checkType } from "./streams/check.ts";
import type { AsyncDisposable } from "./streams/disposable.ts";
import { wordsForOthers } from "./streams/for-others.ts";
import { openWebSocket } from "./transport/open-web-socket.ts";
import { shownUrl } from "./transport/shown-url.ts";
import { checkMaxMessage, type WebSocketTransportOptions, webSocket } from "./transport/websocket.ts";

export type ConnectExportOptions = NbdClientOptions & Pick<WebSocketTransportOptions, "maxMessage">;

/**
 * Connects to an NBD server behind a WebSocket, and returns its export. The connection ends when that is closed. In Node it
 * opens nbd:// and nbd+unix:// too.
 *
 * @param url a ws:// or wss:// URL, at whose other end a server speaks NBD; the name of the export is an option
 * @throws TypeError when it is another URL
 * @throws WebSocketError when there is no connection, and all that `nbdClient` throws
 */
export async function connectExport(
  url: string | URL,
  { maxMessage, ...options }: ConnectExportOptions = {},
): Promise<RemoteExport & AsyncDisposable> {
  if (!(url instanceof URL)) checkType(url, "the URL of an export", "string");
  if (!/^wss?:\/\//i.test(String(url))) {
    throw new TypeError(`"${shownUrl(url)}": without Node, only ws:// and wss:// can be connected to`);
  }
  if (maxMessage !== undefined) checkMaxMessage(maxMessage);
  return nbdClient(webSocket(openWebSocket(url), { wordsFor: wordsForOthers, maxMessage }), options);
}
