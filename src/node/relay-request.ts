import { isIPv6 } from "node:net";
import { quoted } from "../streams/quoted.ts";
import { foreign } from "./host-rules.ts";

/** A relay sets at least one of these (RFC 3875, section 4.1). */
const TOLD = ["GATEWAY_INTERFACE", "SERVER_NAME", "HTTP_HOST", "HTTP_ORIGIN"];

/**
 * Says why the request for which a relay started this program must not be served; undefined if it may be, or if there is no
 * relay. A relay such as websocketd only compares Host with Origin. It would let a page in whose name an attacker's DNS
 * points here.
 *
 * @param env the environment, in which a relay describes the request
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
  // 80 may also mean that the header had no port, as behind a TLS proxy. Then the Origin has none either.
  return !SERVER_PORT || SERVER_PORT === "80" ? name : `${name}:${SERVER_PORT}`;
}
