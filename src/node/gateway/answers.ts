import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";

/** Answers a request. */
export function send(response: ServerResponse, status: number, body: string, type = "text/plain") {
  response
    .writeHead(status, { "Content-Type": `${type}; charset=utf-8`, "Cache-Control": "no-store" })
    .end(body);
}

/** Answers a request for a WebSocket, which is not to be had, and ends the connection. */
export function refuse(socket: Duplex, status: string, body: string) {
  socket.on("error", () => {});
  // The socket is nobody's any more, and would stay for as long as the other side leaves its half open.
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
    () => socket.destroy(),
  );
}
