/**
 * A relay between clients on a unix socket and WebSockets, one each, that looks at nothing it passes on: what any gateway
 * on `ws` takes before it does something.
 *
 *     node --import tsx test/bench/relay.ts SOCKET     (prints where the WebSockets go, and a line for each)
 */
import { once } from "node:events";
import { createServer } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

const waiting: WebSocket[] = [];
const sockets = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
sockets.on("connection", (socket) => {
  socket.pause();
  waiting.push(socket);
  console.log("a WebSocket");
});

const clients = createServer((client) => {
  const socket = waiting.shift();
  if (!socket) return client.destroy();
  client.on("data", (bytes) => socket.send(bytes));
  client.on("close", () => socket.close());
  socket.on("close", () => client.destroy());
  client.on("error", () => {}); // its close comes next
  socket.on("message", (bytes: Buffer) => {
    if (client.write(bytes)) return;
    socket.pause();
    client.once("drain", () => socket.resume());
  });
  socket.resume();
});

clients.listen(process.argv[2]);
await Promise.all([once(clients, "listening"), once(sockets, "listening")]);
const { port } = sockets.address() as { port: number };
console.log(`ws://127.0.0.1:${port}/`);
