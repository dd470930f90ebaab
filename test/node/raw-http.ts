/** HTTP as it is sent, whatever a well-behaved client would make of it. */
import { createConnection } from "node:net";
import { within } from "../harness.ts";

/** Sends a request's lines, and returns all that is answered until the connection ends, or stays open. */
export function exchange(port: number, head: readonly string[], body = ""): Promise<string> {
  const answer = new Promise<string>((resolve, reject) => {
    let text = "";
    const socket = createConnection(port, "127.0.0.1");
    socket.on("data", (chunk) => {
      text += chunk;
      // A WebSocket stays open, and has no body; so do events, whose body has no end.
      if (/HTTP\/1\.1 101 .*\r\n\r\n|: text\/event-stream.*\n\n/s.test(text)) socket.destroy();
    });
    socket.on("close", () => resolve(text));
    socket.on("error", (error) => {
      // What was answered before has arrived.
      if (text === "") reject(error);
    });
    socket.write(`${head.join("\r\n")}\r\n\r\n${body}`);
  });
  return within(15_000, head[0]!, answer);
}

/** The status code of an answer. */
export const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d+) /.exec(answer)?.[1]);

/** The headers of a request for a WebSocket, besides Host. */
export const upgrade = [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
];
