/** How kernel-distance.uml.ts, in a machine, has kernel-distance.outside.ts do what is done outside of it. */
import { once } from "node:events";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { NETWORK } from "../system/kernel/beside.ts";
import type { Link } from "./far-link.ts";

const PORT = 8000;
const URL = `http://${NETWORK.beside}:${PORT}/`;

/** What is to be at the other end of a link. */
export interface Wish {
  what: "nbd-serve" | "plain server" | "bare stream";
  link: Link;
  /** The port of the machine's gateway, which nbd-serve is to connect to. */
  gateway?: number;
}

/** Ends what was started, if anything was. */
export const stop = () => fetch(URL, { method: "DELETE" });

export const isThere = () =>
  stop().then(
    () => true,
    () => false,
  );

/** @returns the port under which the machine reaches the other end */
export async function start(wish: Wish): Promise<number> {
  const answer = await fetch(URL, { method: "POST", body: JSON.stringify(wish) });
  return Number(await answer.text());
}

/** Does what it is asked to, one thing after the other. */
export async function fulfil(begin: (wish: Wish) => Promise<number>, end: () => Promise<void>) {
  const server = createServer(async (request, response) => {
    if (request.method === "POST") response.end(`${await begin((await json(request)) as Wish)}`);
    else response.end(await end());
  });
  server.listen(PORT, NETWORK.beside);
  await once(server, "listening");
}
