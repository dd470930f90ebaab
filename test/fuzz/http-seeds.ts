/** What the fuzzer of HTTP begins with: requests as browsers, proxies and attackers send them, and HTTP's words. */
import { upgrade } from "../node/raw-http.ts";

const host = "Host: 127.0.0.1";
const plain = ["GET / HTTP/1.1", host];
const webSocket = ["GET /one HTTP/1.1", host, ...upgrade];

/** Each is what a connection begins with. */
const requests: readonly string[][] = [
  plain,
  [
    "HEAD /page.js?x HTTP/1.1",
    host,
    "Accept-Encoding: gzip;q=0, br",
    'If-None-Match: W/"x", *',
    "Range: bytes=5-2",
  ],
  ["GET /metadata HTTP/1.0", "Host: localhost:8000", "Connection: keep-alive"],
  [...webSocket, "Origin: http://127.0.0.1", "Sec-WebSocket-Protocol: binary"],
  [...webSocket, "Origin: http://evil.example"],
  [...webSocket, "Content-Length: 3", "", "abc"],
  [...webSocket, "Transfer-Encoding: chunked", "", "3", "abc", "0"],
  [...webSocket, "Host: evil.example"],
  [webSocket[0]!.replace("1.1", "1.0"), ...webSocket.slice(1)],
  ["POST / HTTP/1.1", host],
  [...plain, "Expect: 100-continue"],
  [...plain, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image"],
  ["POST /one HTTP/1.1", host, "Expect: 100-continue", "Content-Length: 1", "", "a"],
  ["OPTIONS * HTTP/1.1", host, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: document"],
  ["CONNECT 127.0.0.1:22 HTTP/1.1", host],
  ["GET http://evil.example/%2e%2e/config.json HTTP/1.1", "Host: [::1]:80"],
  [...plain, "", ...plain, "", ...webSocket],
  ["GET /metadata HTTP/1.1", host, "Authorization: Bearer x"],
  ["GET /metadata?token=x HTTP/1.1", host, "Cookie: a=b; __Host-nbd-proxy=s.x"],
  ["OPTIONS /metadata HTTP/1.1", host, "Origin: null", "Access-Control-Request-Method: GET"],
  [
    "POST /pull/one HTTP/1.1",
    host,
    "Content-Type: application/json",
    "Content-Length: 17",
    "",
    '{"url":"http://"}',
  ],
  ["POST /login HTTP/1.1", host, "Content-Type: application/json", "Content-Length: 13", "", '{"token":"x"}'],
  ["POST /logout HTTP/1.1", host, "Content-Type: application/json", "Content-Length: 2", "", "{}"],
  [...webSocket, "Sec-WebSocket-Protocol: nbd, token.x, take-over"],
];

const seeds = requests.map((lines) => Buffer.from(`${lines.join("\r\n")}\r\n\r\n`));

/** Masked frames: text, a binary message in two parts with a ping between them, and the end. */
const frames = Buffer.from([
  ...[0x81, 0x81, 0, 0, 0, 0, 0x61],
  ...[0x02, 0x82, 1, 2, 3, 4, 5, 6, 0x89, 0x80, 0, 0, 0, 0, 0x80, 0xfe, 0, 1, 0, 0, 0, 0, 7],
  ...[0x88, 0x82, 0, 0, 0, 0, 3, 0xe8],
]);

export const httpSeeds: readonly Uint8Array[] = [
  ...seeds,
  Buffer.concat([Buffer.from(`${webSocket.join("\r\n")}\r\n\r\n`), frames]),
  frames,
];

/** What requests are made of. */
export const httpWords: readonly string[] = [
  ...new Set(requests.flat().flatMap((line) => [line, ...line.split(/(?<=: )|[ ,;]+/)])),
  ..."\r\n,: ,;q=0,%00,%,..,//,\t,\0,\x80".split(","),
].filter((word) => word !== "");
