/** The links that the benchmarks over distance go through, and what is at the far end of one. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { program, root, type Sandbox, until } from "../harness.ts";
import { type Elsewhere, forkRelay, type Place, type Relay } from "../relay.ts";

/** Milliseconds. */
export const ROUND_TRIPS = [0, 10, 20, 50, 100];
/** 100 Mbit/s, in bytes a second. */
export const RATE = 12_500_000;

export interface Link {
  /** Milliseconds. */
  roundTrip: number;
  /** Bytes a second; default: no limit. */
  rate?: number;
}

/** nbd-serve with an image, and the link by which it reaches a gateway. */
export async function serveOver(
  link: Link,
  sandbox: Sandbox,
  image: string,
  gateway: Place | Elsewhere,
): Promise<Relay> {
  const relay = await forkRelay({ listen: 0, to: gateway, ...link });
  sandbox.start(program("nbd-serve"), [image, `ws://127.0.0.1:${relay.place}/`]);
  return relay;
}

/** A server of an image that does one thing after the other, each at once, and the link by which it is reached. */
export function servePlainly(
  link: Link,
  sandbox: Sandbox,
  image: string,
  listen: Place | Elsewhere,
): Promise<Relay> {
  const server = join(root, "test/first-generation-server.js");
  return linkTo(link, sandbox, listen, (socket) =>
    sandbox.start(process.execPath, [server, image, socket, "0"]),
  );
}

/** Starts what listens on a unix socket, and the link by which that is reached. */
export async function linkTo(
  link: Link,
  sandbox: Sandbox,
  listen: Place | Elsewhere,
  start: (socket: string) => void,
): Promise<Relay> {
  const socket = sandbox.path("far.sock");
  start(socket);
  await until("the server listens", () => existsSync(socket));
  return forkRelay({ listen, to: socket, ...link });
}
