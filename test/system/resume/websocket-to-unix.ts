import { connect } from "node:net";
import { connectSocket } from "../../../src/node/connect-socket.ts";
import { socketTransport } from "../../../src/node/socket.ts";
import { join } from "../../../src/streams/join.ts";

/** A server of any make on a unix socket that serves to a gateway. */
export interface Bridge {
  /** Cuts the connection to the gateway without a word. */
  cut(): void;
  /** The close code of the WebSocket, once it is over. */
  closed: Promise<number>;
}

/** Passes bytes on between a gateway and a unix socket, as websocat does. */
export function bridge(url: string, path: string): Bridge {
  const { socket, transport } = connectSocket(url);
  const server = connect({ path, allowHalfOpen: true });
  server.on("error", () => {});
  const closed = new Promise<number>((resolve) => socket.once("close", resolve));
  join(transport, socketTransport(server)).catch(() => {});
  return { cut: () => socket.terminate(), closed };
}
