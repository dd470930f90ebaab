import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Server, type Socket } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type WebSocket, WebSocketServer } from "ws";
import { connect } from "../../src/node/connect.ts";
import { connectError } from "../../src/node/connect-error.ts";
import { isUnseen } from "../../src/node/connect-socket.ts";
import { WebSocketError } from "../../src/transport/websocket.ts";
import { failure, hex, toHex } from "../bytes.ts";
import { root, within } from "../harness.ts";

const tests = suite("connect");

tests("what stays on this machine or goes through TLS is unseen, all else may pass a proxy", () => {
  for (const endpoint of [
    "ws://localhost:8000/",
    "ws://127.0.0.1/",
    "ws://127.1.2.3:1/cd",
    "ws://[::1]:8000/",
    "wss://far.example/",
  ]) {
    assert.ok(isUnseen(new URL(endpoint)), endpoint);
  }
  for (const endpoint of [
    "ws://far.example/",
    "ws://localhost.far.example/",
    "ws://127.0.0.1.far.example/",
    "ws://192.0.2.1/",
    "ws://[2001:db8::1]/",
  ]) {
    assert.not.ok(isUnseen(new URL(endpoint)), endpoint);
  }
});

tests("to this machine a message is masked with zeroes, which leaves it as it is", async () => {
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  try {
    await once(server, "listening");
    const frame = new Promise<Uint8Array>((resolve) => {
      server.once("connection", (_client, { socket }) => socket.once("data", resolve));
    });
    const transport = connect(`ws://127.0.0.1:${(server.address() as AddressInfo).port}/`);
    await within(5000, "the write", transport.writable.getWriter().write(hex("01020304")));
    assert.is(toHex(await within(5000, "the frame", frame)), "82840000000001020304");
    transport.close();
    await transport.closed;
  } finally {
    server.close();
  }
});

tests("an endpoint that is not a WebSocket's is refused, without its password", () => {
  for (const [endpoint, words] of [
    ["http://127.0.0.1/", '"http://127.0.0.1/" is not a ws:// or wss:// URL; try ws://127.0.0.1/'],
    ["ws://", '"ws://" is not a ws:// or wss:// URL'],
    ["user:secret@far.example/", '"far.example/" is not a ws:// or wss:// URL'],
    ["ws://far.example/#cd", '"ws://far.example/": the URL of a WebSocket has no "#…" at its end'],
    ["image.iso", '"image.iso" is not a ws:// or wss:// URL'],
    [
      "https://user:secret@far.example/?token=secret",
      '"https://far.example/?…" is not a ws:// or wss:// URL; try wss://far.example/?…',
    ],
    ["wss://user:se/cret@far.example/", '"wss://far.example/" is not a ws:// or wss:// URL'],
    ["ws://127.0.0.1:99999/", "ws://127.0.0.1:99999/: 99999 is not a valid port"],
    ["ws://127.0.0.1:0/", "ws://127.0.0.1:0/: 0 is not a valid port"],
    ["wss://user:secret@far.example:65536", "wss://far.example:65536: 65536 is not a valid port"],
  ] as const) {
    assert.throws(
      () => connect(endpoint),
      (error: Error) => error.message === words,
      endpoint,
    );
  }
});

tests("an origin that no header can have is refused in words", () => {
  for (const origin of ["http://far.example\n", "http://bücher.example"]) {
    assert.throws(
      () => connect("ws://127.0.0.1:9/", { origin }),
      ({ name, message }: Error) =>
        name === "TypeError" && message.startsWith("the origin must have printable characters of ASCII only"),
    );
  }
});

/** A TCP server that deals with each connection so. */
function tcp(deal: (socket: Socket) => void): () => Server {
  return () => createTcpServer((socket) => deal(socket.on("error", () => {})));
}

/** An HTTP server that answers each request so. */
function http(status: number, body = "", headers: Record<string, string> = {}): () => Server {
  return () => createHttpServer((_, response) => response.writeHead(status, headers).end(body));
}

const nobody = () => createTcpServer();

for (const [what, scheme, server, words] of [
  ["nobody", "ws", nobody, "nothing listens there"],
  ["nobody", "wss", nobody, "nothing listens there"],
  ["a server that speaks HTTP", "wss", http(200), "the server does not speak TLS there; use ws://"],
  [
    "a server that speaks first",
    "wss",
    tcp((socket) => socket.write("NBDMAGICIHAVEOPT")),
    "the server does not speak TLS there; use ws://",
  ],
  [
    "a server that speaks another protocol",
    "ws",
    tcp((socket) => socket.write("NBDMAGICIHAVEOPT")),
    "the server does not speak HTTP there; if it speaks TLS, use wss://",
  ],
  [
    "a server that hangs up",
    "ws",
    tcp((socket) => socket.once("data", () => socket.end())),
    "the server closed the connection without an answer; if it speaks TLS, use wss://",
  ],
  [
    "a server that hangs up",
    "wss",
    tcp((socket) => socket.once("data", () => socket.end())),
    "the server closed the connection without an answer; if it does not speak TLS, use ws://",
  ],
  [
    "a server without WebSockets",
    "ws",
    http(200, "hello"),
    "the server answered 200 OK: there is no WebSocket at this path",
  ],
  [
    "a refusal with a reason",
    "ws",
    http(403, 'the Origin "null" is not allowed here\nask somebody\n'),
    'the server answered 403 Forbidden: "the Origin \\"null\\" is not allowed here"',
  ],
  [
    "a refusal with a long reason that forges lines",
    "ws",
    http(503, `\u001b[31mred\rnbd-serve: ${"x".repeat(10_000)}`),
    `the server answered 503 Service Unavailable: "\\u{1b}[31mred\\rnbd-serve: ${"x".repeat(180)}…"`,
  ],
  [
    "a refusal with a page",
    "ws",
    http(401, "<html><title>no</title>"),
    "the server answered 401 Unauthorized; if it is an nbd-gateway, use the URL that it prints, or http://127.0.0.1:PORT/",
  ],
  ["a refusal without a word", "ws", http(404), "the server answered 404 Not Found"],
  [
    "a server that has moved",
    "ws",
    http(301, "", { location: "https://user:secret@far.example/?token=secret" }),
    'the server answered 301 Moved Permanently: it is at "https://far.example/?…"',
  ],
] as const) {
  tests(`${scheme}:// to ${what}: the error says why, and keeps its cause`, async () => {
    const listener = server();
    listener.listen(0, "127.0.0.1");
    await once(listener, "listening");
    const { port } = listener.address() as AddressInfo;
    if (server === nobody) listener.close();
    try {
      const transport = connect(`${scheme}://127.0.0.1:${port}/`);
      const error = await within(10_000, "the end", failure(transport.closed));
      assert.instance(error, WebSocketError);
      assert.is(error.message.replace(`:${port}/`, ":PORT/"), words);
      assert.is(error.cause instanceof Error, !words.startsWith("the server answered"));
    } finally {
      listener.close();
    }
  });
}

tests("a refusal whose reason has no end is told with what came, in time", async () => {
  const endless = createHttpServer((_, response) => response.writeHead(403).write("no entry\n"));
  endless.listen(0, "127.0.0.1");
  await once(endless, "listening");
  const transport = connect(`ws://127.0.0.1:${(endless.address() as AddressInfo).port}/`);
  const { message } = await within(10_000, "the end", failure(transport.closed));
  assert.is(message, 'the server answered 403 Forbidden: "no entry"');
  endless.close();
});

tests("a server that does not answer the handshake in time", async () => {
  const silent = createTcpServer(() => {});
  silent.listen(0, "127.0.0.1");
  await once(silent, "listening");
  const url = `ws://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
  const transport = connect(url, { handshakeTime: 50 });
  const error = await within(10_000, "the end", failure(transport.closed));
  assert.is(error.message, "the server did not answer");
  silent.close();
});

tests(
  "an answer that came while this process was stopped is read before the handshake is judged",
  async () => {
    // In a process of its own, as this one does not run meanwhile.
    const script = `
    const { WebSocketServer } = require("ws");
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 }, () => console.log(server.address().port));`;
    const child = spawn(process.execPath, ["-e", script], {
      stdio: ["ignore", "pipe", "inherit"],
      cwd: root,
    });
    try {
      const [port] = await within(20_000, "the port", once(child.stdout, "data"));
      const transport = connect(`ws://127.0.0.1:${String(port).trim()}/`, { handshakeTime: 1000 });
      const failed = failure(transport.closed);
      // What was asked is on its way by then.
      await new Promise((resolve) => setTimeout(resolve, 20));
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1500);
      const written = transport.writable.getWriter().write(hex("01"));
      await within(
        10_000,
        "the write",
        Promise.race([written, failed.then((error) => Promise.reject(error))]),
      );
      transport.close();
    } finally {
      child.kill();
    }
  },
);

tests("a message that is longer than any request is refused at its header", async () => {
  const relay = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(relay, "listening");
  relay.once("connection", (socket: WebSocket) => {
    // The header of a binary message of 40 MiB, of which nothing comes.
    const header = Buffer.from([0x82, 127, 0, 0, 0, 0, 0x02, 0x80, 0, 0]);
    (socket as unknown as { _socket: Socket })._socket.write(header);
  });
  const transport = connect(`ws://127.0.0.1:${(relay.address() as AddressInfo).port}/`);
  const { message } = await within(10_000, "the end", failure(transport.closed));
  assert.match(message, /payload/i);
  for (const client of relay.clients) client.terminate();
  relay.close();
});

tests("a host with several addresses and nobody at any: what is wrong with each, once", () => {
  const refused = (address: string) =>
    Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: "ECONNREFUSED" });
  const all = Object.assign(new AggregateError([refused("::1:9"), refused("127.0.0.1:9")]), {
    code: "ECONNREFUSED",
  });
  assert.is(all.message, "");
  assert.is(connectError(all, "ws:").message, "nothing listens there");
});

tests.run();
