/** How kernel-distance.uml.ts, in a machine, has kernel-distance.outside.ts do what is done outside of it. */
import { once } from "node:events";
import { createServer } from "node:http";
import { json } from "node:stream/consumers";
import { NETWORK } from "../system/kernel/beside.ts";
import type { Link } from "./far-link.ts";

const PORT = 8000;
const ADDRESS = `http://${NETWORK.beside}:${PORT}/`;

/** What is to be at the other end of a link. */
export interface FarEnd {
  what: "nbd-serve" | "plain server" | "bare stream";
  link: Link;
  /** The port of the machine's gateway, which nbd-serve is to connect to. */
  gateway?: number;
}

/** Ends what was started, if anything was. */
export const stop = () => fetch(ADDRESS, { method: "DELETE" });

/** Whether what is outside of the machine can be asked already. */
export const isThere = () =>
  stop().then(
    () => true,
    () => false,
  );

/**
 * @returns the port under which the machine reaches the other end
 * @throws Error with what was said outside
 */
export async function start(farEnd: FarEnd): Promise<number> {
  const answer = await fetch(ADDRESS, { method: "POST", body: JSON.stringify(farEnd) });
  if (!answer.ok) throw new Error(await answer.text());
  return Number(await answer.text());
}

/** Answers the machine: begins and ends what it asks for, one thing after the other. */
export async function answerMachine(begin: (farEnd: FarEnd) => Promise<number>, end: () => Promise<void>) {
  const server = createServer(async (request, response) => {
    try {
      if (request.method === "POST") response.end(`${await begin((await json(request)) as FarEnd)}`);
      else response.end(await end());
    } catch (error) {
      response.writeHead(500).end(String(error));
    }
  });
  server.listen(PORT, NETWORK.beside);
  await once(server, "listening");
}
