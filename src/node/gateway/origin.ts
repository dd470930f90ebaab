import type { IncomingMessage } from "node:http";
import { isIP } from "node:net";

/**
 * Says why a request must not be served, or undefined when it may. No other web page is to reach the gateway
 * through the browser of somebody who can:
 *
 * - the Host must be an IP literal, `localhost` or an allowed name, so that a name which an attacker's DNS points
 *   here (rebinding) is of no use;
 * - an Origin, where there is one, must be the same host and port. `null` never is.
 */
export function forbidden(request: IncomingMessage, allowedHosts: readonly string[]): string | undefined {
  const { host, origin } = request.headers;
  const url = parse(`http://${host}`);
  if (!host || !url || url.host !== host.toLowerCase().replace(/:80$/, ""))
    return "the Host header makes no sense";
  const name = url.hostname.replace(/^\[(.*)\]$/, "$1");
  if (
    !isIP(name) &&
    name !== "localhost" &&
    !allowedHosts.some((allowed) => allowed.toLowerCase() === name)
  ) {
    return `the host name "${name}" is not one of "allowed-hosts"`;
  }
  if (origin === undefined) return undefined;
  const from = parse(origin);
  if (!from || !/^https?:$/.test(from.protocol) || from.host !== parse(`${from.protocol}//${host}`)?.host) {
    return "the request comes from another web page";
  }
  return undefined;
}

function parse(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}
