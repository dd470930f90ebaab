import { messageOf } from "../../streams/message-of.ts";
import { certificateFault, connectionFault } from "../../transport/connection-fault.ts";
import { withShownUrls } from "../../transport/shown-url.ts";
import { HttpError } from "./http-error.ts";

/** The codes of Node's `fetch` for what others have a code of the system for. */
const systemCodes: Readonly<Record<string, string>> = {
  UND_ERR_SOCKET: "ECONNRESET",
  UND_ERR_CONNECT_TIMEOUT: "ETIMEDOUT",
};

/** Why Node's `fetch`, or another in its place, failed before there was an answer. */
export function fetchFault(error: unknown, url: URL): HttpError {
  // Whoever gave another `fetch` may refuse a URL in words of its own. The runtime's own fails with a TypeError.
  if (!(error instanceof TypeError)) {
    return new HttpError("unreachable", withShownUrls(messageOf(error)), { cause: error });
  }
  const cause = error.cause instanceof Error ? (error.cause as Error & { code?: string }) : error;
  const certificate = certificateFault(cause);
  if (certificate) {
    const words = `${certificate}; have its authority trusted on this machine (in Node: NODE_EXTRA_CA_CERTS=FILE)`;
    return new HttpError("certificate", words, { cause: error });
  }
  const { code = "" } = cause as { code?: string };
  const known = Object.assign(new Error(cause.message, { cause }), { code: systemCodes[code] ?? code });
  const words = withShownUrls(connectionFault(known, url.protocol));
  return new HttpError("unreachable", words, { mayPass: true, cause: error });
}
