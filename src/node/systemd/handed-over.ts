import { quoted } from "../../streams/quoted.ts";
import { HeldSocket } from "../session/held-socket.ts";
import { takeNamedSockets } from "../socket-activation.ts";
import { type InheritedSocket, inheritedSockets } from "./inherited-socket.ts";

/** What sockets for HTTP are called; any other name is that of a configuration. */
const HTTP = "http";

/** The sockets that a gateway was started with, by what they are for. */
export interface HandedOver {
  http: InheritedSocket[];
  /** For local NBD clients, by the names of their configurations. */
  held: ReadonlyMap<string, HeldSocket>;
}

/**
 * Takes over the sockets that this process was started with.
 * @throws Error when one of them does not listen, or two are for the same configuration
 */
export async function handedOver(env?: NodeJS.ProcessEnv): Promise<HandedOver> {
  const http: InheritedSocket[] = [];
  const held = new Map<string, HeldSocket>();
  for (const socket of await inheritedSockets(takeNamedSockets(env))) {
    const { name } = socket;
    if (name === HTTP) http.push(socket);
    else if (held.has(name))
      throw new Error(`two sockets are called ${quoted(name)}; a configuration has one`);
    else held.set(name, await HeldSocket.hold(socket));
  }
  return { http, held };
}
