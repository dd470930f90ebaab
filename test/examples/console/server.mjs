// A console's own server. Its page offers a disk, and nbd-proxy takes it: one disk at a time, at /media/0, from whoever has
// the page's cookie. In the current folder it needs config.json and what it serves; ws in node_modules, nbd-proxy on the PATH.
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { pipeline } from "node:stream/promises";
import { createWebSocketStream, WebSocketServer } from "ws";

const port = process.env.PORT ?? 8001;
const { origin, host } = new URL(`http://127.0.0.1:${port}`); // as browsers see it
const cookie = `console=${randomBytes(32).toString("base64url")}`; // in place of the one of your login
const types = { html: "text/html; charset=utf-8", js: "text/javascript" };
const http = createServer(({ url, headers }, response) => {
  if (headers.host !== host) return response.writeHead(302, { Location: `${origin}/` }).end();
  const [, name, ending] = /^\/([\w-]+\.(html|js))$/.exec(url === "/" ? "/page.html" : url) ?? [];
  if (!name) return response.writeHead(404).end();
  response.setHeader("Content-Type", types[ending]);
  response.setHeader("Set-Cookie", `${cookie}; HttpOnly; SameSite=Strict; Path=/`);
  pipeline(createReadStream(name), response).catch(({ message }) => console.error(message));
});

let session; // { socket, proxy }, until nbd-proxy has ended
async function verifyClient({ origin: from, req: { headers } }, answer) {
  if (from !== origin || !headers.cookie?.split("; ").includes(cookie)) return answer(false, 403);
  const isEnding = session?.socket.readyState > 1; // so that whoever has stopped can start again at once
  if (isEnding) await new Promise((resolve) => session.proxy.once("close", resolve));
  answer(http.listening, 503);
}
const server = new WebSocketServer({ server: http, path: "/media/0", verifyClient, maxPayload: 1 << 21 });
server.on("connection", (socket, { headers }) => {
  socket.on("error", () => {}); // of a frame that is none, or too long: the WebSocket is closed
  if (session) return socket.close(1013, "the drive is in use");
  const env = { ...process.env, HTTP_HOST: headers.host, HTTP_ORIGIN: headers.origin }; // nbd-proxy checks both
  const stdio = ["pipe", "pipe", "inherit"]; // its log goes where this program's goes
  const proxy = spawn("nbd-proxy", ["--config", "config.json", "local"], { env, stdio });
  session = { socket, proxy };
  const link = createWebSocketStream(socket); // takes no more from either side than the other one has room for
  link.pipe(proxy.stdin).on("close", () => link.resume()); // the WebSocket ends: standard input does, then nbd-proxy
  pipeline(proxy.stdout, link, { end: false }).catch(() => {});
  link.on("error", () => proxy.stdin.end());
  proxy.stdin.on("error", () => {}); // nbd-proxy has ended, and its exit status says why
  proxy.on("error", ({ message }) => console.error(message)); // it was not started
  proxy.on("close", (status, signal) => {
    console.log(`nbd-proxy has ended with ${signal ?? status}`);
    session = undefined;
    if (status === 0) socket.close(1000);
    else socket.close(1011, "nbd-proxy has failed; the server's log says why");
  });
});

http.listen(port, "127.0.0.1", () => console.log(`open ${origin}/`));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, stop);
function stop() {
  http.close();
  http.closeAllConnections(); // WebSockets are none of them
  session?.proxy.kill(); // it ends in order, then its WebSocket, and then this program
}
