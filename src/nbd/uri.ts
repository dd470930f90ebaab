import { checkType } from "../streams/check.ts";
import { quoted } from "../streams/quoted.ts";

/** Where an NBD URI leads to, and which export it asks for. */
export interface NbdUri {
  /** The path of a unix socket; or a host, an IPv6 address without brackets, and a port. */
  address: { path: string } | { host: string; port: number };
  /** The export's name; "" is the server's default one. */
  name: string;
}

/** NBD's port, as the IANA has assigned it. */
const PORT = 10809;

/** The parts of any URI (RFC 3986, appendix B). The parser of `URL` would take "." and ".." out of an export's name. */
const URI = /^([a-z][a-z\d+.-]*):(?:\/\/([^/?#]*))?([^?#]*)(?:\?([^#]*))?(#.*)?$/is;

/** User, host and port. */
const AUTHORITY = /^(?:[^@]*@)?(?:\[([\da-f:.]+)\]|([^:[\]]*))(?::(\d*))?$/i;

/**
 * Reads an NBD URI, nbd://HOST:PORT/NAME or nbd+unix:///NAME?socket=PATH (NetworkBlockDevice/nbd, doc/uri.md). A host that is
 * missing is "localhost". A user, which only TLS has a use for, is ignored.
 *
 * @throws TypeError, RangeError when it is not one, or asks for something that is not there, as TLS
 */
export function parseNbdUri(uri: string): NbdUri {
  checkType(uri, "an NBD URI", "string");
  const [, scheme = "", authority = "", path = "", query = "", fragment] = URI.exec(uri) ?? [];
  const fail = (problem: string): never => {
    throw new TypeError(`${quoted(withoutUser(uri), 200)}: ${problem}`);
  };
  const decode = (text: string): string => {
    try {
      return decodeURIComponent(text);
    } catch {
      return fail(`${quoted(text)} is not percent-encoded UTF-8`);
    }
  };

  const kind = scheme.toLowerCase();
  if (kind === "nbds" || kind === "nbds+unix") return fail("there is no TLS here; use nbd:// or nbd+unix://");
  if (kind !== "nbd" && kind !== "nbd+unix") return fail("it is not an nbd:// or nbd+unix:// URI");
  if (fragment) return fail('an NBD URI has no "#…" at its end');
  if (path !== "" && !path.startsWith("/")) return fail('"//" is missing behind its scheme');
  const name = decode(path.slice(1));
  if (name.includes("\0")) return fail("the name of an export has no NUL in it");

  let socket: string | undefined;
  for (const parameter of query.split("&").filter((parameter) => parameter !== "")) {
    const [key = "", value = ""] = parameter.split(/=(.*)/s).map(decode);
    if (key === "socket" && kind === "nbd+unix") socket = value;
    else if (key === "socket") return fail('"socket" needs nbd+unix:// as its scheme');
    else if (key.startsWith("tls-")) return fail(`there is no TLS here, which ${quoted(key)} is about`);
    else return fail(`the parameter ${quoted(key)} is unknown`);
  }

  if (kind === "nbd+unix") {
    if (authority) return fail("the URI of a unix socket has no host; write nbd+unix:///NAME?socket=PATH");
    if (!socket) return fail("?socket=PATH is missing");
    if (socket.includes("\0"))
      return fail("a socket without a file, whose name begins with NUL, cannot be used");
    return { address: { path: socket }, name };
  }
  const [isHost, ipv6, host = "", digits] = AUTHORITY.exec(authority) ?? [];
  if (isHost === undefined) return fail("that is not HOST or HOST:PORT, with an IPv6 address in brackets");
  const port = digits ? Number(digits) : PORT;
  if (!(port >= 1 && port <= 65535))
    throw new RangeError(`${quoted(withoutUser(uri), 200)}: ${digits} is not a valid port`);
  const decoded = decode(host);
  if (/[\p{C}\s/?#@]/u.test(decoded)) return fail("the host has characters that no name of a host has");
  return { address: { host: ipv6 ?? (decoded || "localhost"), port }, name };
}

/** A URI for a message: without the user, who may have a password, in which "/" may stand by mistake. */
function withoutUser(uri: string): string {
  return uri.replace(/^([a-z][a-z\d+.-]*:\/\/).*@/is, "$1");
}
