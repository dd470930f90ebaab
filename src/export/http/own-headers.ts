import { checkObject } from "../../streams/check.ts";
import { HttpError } from "./http-error.ts";

/** Headers by which parts are asked for. */
const OURS = ["range", "if-range", "accept-encoding"];

/**
 * Headers that only the origin of one URL is sent, also after redirects: they may be secret. No message has their values.
 */
export class OwnHeaders {
  readonly #origin: string;
  readonly #headers: Headers;

  constructor(origin: string, headers: Headers) {
    this.#origin = origin;
    this.#headers = headers;
  }

  /** A copy of what a URL may be sent. */
  for(url: URL): Headers {
    return new Headers(url.origin === this.#origin ? this.#headers : {});
  }

  /** The names of what a URL is sent. */
  namesFor(url: URL): string[] {
    return url.origin === this.#origin ? [...this.#headers.keys()] : [];
  }
}

/**
 * Takes user and password out of a URL, since fetch refuses them there; they become a header for its origin.
 * @throws HttpError when it is no http(s) URL
 * @throws TypeError when headers cannot be sent
 */
export function splitSecrets(
  text: string | URL,
  given: Readonly<Record<string, string>> = {},
): { url: URL; own: OwnHeaders } {
  const url = parsed(text);
  const headers = checkedHeaders(given);
  const { username, password } = url;
  if ((username || password) && !headers.has("authorization")) {
    headers.set("authorization", `Basic ${base64(`${decoded(username)}:${decoded(password)}`)}`);
  }
  url.username = "";
  url.password = "";
  url.hash = "";
  return { url, own: new OwnHeaders(url.origin, headers) };
}

/** Nothing of a text that is no URL is told: which part of it is a secret cannot be known. */
function parsed(text: string | URL): URL {
  const words = "the URL of a file must begin with http:// or https://, and have a host";
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    throw new HttpError("url", words);
  }
  if (/^https?:$/.test(url.protocol)) return url;
  throw new HttpError("url", words);
}

function checkedHeaders(given: Readonly<Record<string, string>>): Headers {
  checkObject(given, "headers");
  const headers = new Headers();
  for (const [name, value] of Object.entries(given)) {
    if (!/^[!#$%&'*+.^_`|~\da-z-]+$/i.test(name))
      throw new TypeError("headers: a name is none that HTTP allows; give { Name: value }");
    if (OURS.includes(name.toLowerCase()))
      throw new TypeError(`headers: ${name} is set by httpExport itself; leave it out`);
    try {
      headers.append(name, value);
    } catch {
      // The runtime's error quotes the value.
      throw new TypeError(
        `headers: the value of ${name} cannot be sent; it must be one line of Latin letters`,
      );
    }
  }
  return headers;
}

/** A part of a URL that may have a % of its own. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function base64(text: string): string {
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}
