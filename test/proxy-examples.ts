/** What is shown for reverse proxies is what is tested. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./harness.ts";

/** Where the examples have the gateway's socket. */
const SOCKET = "/run/nbd-proxy/http.sock";

/**
 * The example for a proxy, with another socket put in.
 * @param folder where it lies; default: beside the programs
 */
export function proxyExample(
  name: "nginx.conf" | "Caddyfile",
  socket: string,
  folder = join(root, "bin"),
): string {
  const text = readFileSync(join(folder, `${name}.example`), "utf8");
  const body = text.replace(/^#.*\n/gm, "");
  if (!body.includes(SOCKET)) throw new Error(`${name}.example does not name ${SOCKET}`);
  return body.replaceAll(SOCKET, socket);
}
