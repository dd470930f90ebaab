import { isIPv6 } from "node:net";
import { quoted } from "../streams/quoted.ts";
import { foreign } from "./host-rules.ts";

/** A relay sets one of these at least (RFC 3875, section 4.1). */
const TOLD = ["GATEWAY_INTERFACE", "SERVER_NAME", "HTTP_HOST", "HTTP_ORIGIN"];

/**
 * Says why the request that a relay runs this program for must not be served, or undefined when it may, or when there
 * is no relay. A relay that compares Host and Origin with each other only, as websocketd does, lets a page through whose
 * name an attacker's DNS points here.
 *
 * @param env the environment, in which a relay tells what was asked for
 * @param allowedHosts as `allowedHost` gives them
 */
export function relayFault(env: NodeJS.ProcessEnv, allowedHosts: readonly string[]): string | undefined {
  if (TOLD.every((name) => env[name] === undefined)) return undefined;
  const [host, origin] = [hostOf(env), env.HTTP_ORIGIN];
  const fault = foreign({ host, origin }, allowedHosts);
  if (fault === undefined) return undefined;
  const from = origin === undefined ? "without an Origin" : `with Origin ${quoted(origin)}`;
  return `the relay's request for ${quoted(host ?? "")}, ${from}, is refused: ${fault.advice}`;
}

/** The Host header: HTTP_HOST, or what websocketd makes of it. */
function hostOf({ HTTP_HOST, SERVER_NAME, SERVER_PORT }: NodeJS.ProcessEnv): string | undefined {
  if (HTTP_HOST !== undefined) return HTTP_HOST;
  if (!SERVER_NAME) return undefined;
  const name = isIPv6(SERVER_NAME) ? `[${SERVER_NAME}]` : SERVER_NAME;
  // Also where the header had no port, as a TLS proxy in front hands it on: then the Origin has none either.
  return !SERVER_PORT || SERVER_PORT === "80" ? name : `${name}:${SERVER_PORT}`;
}
