import type { Transport } from "../streams/duplex.ts";
import type { ConnectOptions } from "./connect-options.ts";
import { connectSocket } from "./connect-socket.ts";

export type { ConnectOptions } from "./connect-options.ts";

/**
 * Connects to a WebSocket server from Node. The transport can be used at once. If connecting fails later, the transport fails
 * with a WebSocketError that says why.
 *
 * A token is sent as it is, and before the server has shown that it knows it: over wss, or to this machine. At a gateway,
 * `logIn` gives the URL and a session to send in its place. Redirects are not followed.
 *
 * @throws TypeError if the endpoint is not a ws:// or wss:// URL, or has a fragment; if a header cannot carry the origin or the
 *   token; or if others could read the token, or take it as `insecure` lets them
 * @throws RangeError if its port is not 1 to 65535
 */
export function connect(endpoint: string, options: ConnectOptions = {}): Transport {
  return connectSocket(endpoint, options).transport;
}
