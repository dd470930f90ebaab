import { type OutgoingHttpHeaders, type ServerResponse, STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import { deadline } from "../../streams/deadline.ts";
import type { Refusal } from "./admission.ts";

/** Milliseconds that the other side is given to take an answer. */
export const ANSWER_TIME = 10_000;

const POLICY = ["default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"];

/** What every answer says to browsers. HSTS is not among it: it would hold for the other ports of the host, which are not ours. */
const SECURITY_HEADERS = {
  "Content-Security-Policy": POLICY.join("; "),
  "X-Content-Type-Options": "nosniff",
  "Referrer-Policy": "no-referrer",
};

/**
 * The policy of the page: it may read an image from any web server, as a person gives its address, and ask nobody else for scripts.
 * @param isSecure whether the page goes over https, and browsers let it ask for nothing else
 */
export function pagePolicy(isSecure: boolean): string {
  const [first, ...rest] = POLICY;
  return [first, `connect-src 'self' https:${isSecure ? "" : " http:"}`, ...rest].join("; ");
}

/** Begins an answer whose body comes bit by bit. */
export function beginAnswer(response: ServerResponse, status: number, headers: OutgoingHttpHeaders): void {
  response.writeHead(status, { ...SECURITY_HEADERS, ...headers });
}

/** Answers a request with bytes, which a HEAD, a 204 and a 304 leave out. */
export function sendBytes(
  response: ServerResponse,
  status: number,
  headers: OutgoingHttpHeaders,
  bytes: Uint8Array,
): void {
  const length = status === 304 || status === 204 ? {} : { "Content-Length": bytes.byteLength };
  response.writeHead(status, { ...SECURITY_HEADERS, ...headers, ...length }).end(bytes);
}

/** Answers a request with text, which is not to be kept. */
export function send(
  response: ServerResponse,
  status: number,
  body: string,
  headers: OutgoingHttpHeaders = {},
): void {
  const text = { "Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store" };
  sendBytes(response, status, { ...text, ...headers }, Buffer.from(body));
}

/** Refuses a request, and ends the connection. */
export function sendRefusal(response: ServerResponse, { status, words, headers }: Refusal): void {
  send(response, status, `${words}\n`, { ...headers, Connection: "close" });
}

/** Refuses what came on a socket that is not, or not any more, the HTTP server's to answer on, and ends it. */
export function refuse(socket: Duplex, { status, words, headers = {} }: Refusal): void {
  socket.on("error", () => {}); // its close comes next
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const callOff = deadline(ANSWER_TIME, () => socket.destroy());
  socket.once("close", callOff);
  const lines = {
    Connection: "close",
    "Content-Type": "text/plain; charset=utf-8",
    "Content-Length": Buffer.byteLength(words),
    "Cache-Control": "no-store",
    ...headers,
  };
  const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`);
  // Its half that the other side leaves open would hold the descriptor.
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join("")}\r\n${words}`, () =>
    socket.destroy(),
  );
}
