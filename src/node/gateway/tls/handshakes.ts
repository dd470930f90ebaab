import { constants } from "node:crypto";
import type { Server } from "node:net";
import type { Duplex } from "node:stream";
import type { SecureContextOptions } from "node:tls";
import { deadline } from "../../../streams/deadline.ts";
import type { Certificate } from "./certificate.ts";

/** How TLS is spoken with a certificate: 1.2 or later, and nothing is negotiated a second time. */
export function secureContext({ cert, key }: Certificate): SecureContextOptions {
  return { cert, key, minVersion: "TLSv1.2", secureOptions: constants.SSL_OP_NO_RENEGOTIATION };
}

/** Ends connections to a server for TLS whose handshake takes longer than `time`, in milliseconds. */
export function limitHandshakes(server: Server, time: number): void {
  const pending = new WeakMap<object, () => void>();
  server.on("connection", (socket) => {
    const callOff = deadline(time, () => socket.destroy());
    pending.set(socket, callOff);
    socket.once("close", callOff);
  });
  server.on("secureConnection", (socket: Duplex) => pending.get(below(socket) ?? socket)?.());
}

/** The socket that a TLS socket was made on, which Node's types do not name. */
export function below(socket: Duplex): Duplex | undefined {
  return (socket as { _parent?: Duplex })._parent;
}
