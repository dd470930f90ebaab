import type { Trust } from "./tls-connection.ts";

export interface ConnectOptions extends Trust {
  /** The Origin header to send. Default: none. */
  origin?: string;
  /** What shows the server who comes, such as the session of `logIn`: the header "Authorization: Bearer TOKEN". Default: none. */
  token?: string;
  /** Whether to end a session that a gateway has for this configuration already. */
  takeOver?: boolean;
  /** The longest message that is sent, in bytes; see `WebSocketTransportOptions`. Default: no limit. */
  maxMessage?: number | undefined;
  /** Milliseconds that the server is given to answer the WebSocket's handshake. Default 30 s. */
  handshakeTime?: number;
}
