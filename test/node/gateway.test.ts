import { existsSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import * as assert from "uvu/assert";
import { type ClientOptions, WebSocket } from "ws";
import {
  type ExportError,
  type Gateway,
  type GatewayOptions,
  gateway,
  memoryExport,
  nbdClient,
  nbdServer,
  parseConfig,
  join as pipe,
  socketTransport,
  WebSocketError,
  webSocket,
} from "../../src/node/index.ts";
import { failure } from "../bytes.ts";
import { program, Sandbox, suite, until, within } from "../harness.ts";
import { exchange as send, upgrade } from "./raw-http.ts";

const tests = suite("gateway");

let sandbox: Sandbox;
let running: Gateway;
let port: number;
let log: string[];

const socketOf = (name: string) => sandbox.path(`${name}.sock`);

function configText(): string {
  return JSON.stringify({
    "allowed-hosts": ["Console.example"],
    "state-hook": "/nowhere",
    configurations: {
      one: { listen: `unix:${socketOf("one")}`, default: true, metadata: { description: "First" } },
      "two ü": { listen: `unix:${socketOf("two")}` },
      device: { "nbd-device": "/dev/null", metadata: { description: "Virtual media device" } },
    },
  });
}

tests.before.each(async () => {
  sandbox = new Sandbox();
  log = [];
  const folder = sandbox.path("web");
  await mkdir(folder);
  await writeFile(`${folder}/index.html`, "the page");
  await writeFile(sandbox.path("package.json"), "outside of the page's folder");
  await writeFile(sandbox.path("config.json"), configText());
  await start();
});

async function start(options: Partial<GatewayOptions> = {}) {
  running = await gateway({
    config: parseConfig("config.json", configText()),
    port: 0,
    staticFolder: sandbox.path("web"),
    log: (line) => log.push(line),
    ...options,
  });
  port = Number(new URL(running.url).port);
}

tests.after.each(async () => {
  await running.close();
  await sandbox.end();
});

const exchange = (head: readonly string[]) => send(port, head);

tests("what comes in one piece with the request for a WebSocket is not lost", async () => {
  const socket = createConnection(port, "127.0.0.1");
  let received = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    received = Buffer.concat([received, chunk]);
  });
  const head = ["GET / HTTP/1.1", `Host: 127.0.0.1:${port}`, ...upgrade].join("\r\n");
  const ping = Buffer.from([0x89, 0x82, 0, 0, 0, 0, 0x68, 0x69]);
  socket.write(Buffer.concat([Buffer.from(`${head}\r\n\r\n`), ping]));
  const pong = Buffer.from([0x8a, 2, 0x68, 0x69]);
  await until("the pong", () => received.includes(pong));
  socket.destroy();
});

tests(
  "a request that does not wait for the answer to the last one is refused, and the gateway goes on",
  async () => {
    const host = `Host: 127.0.0.1:${port}`;
    for (const [first, body] of [
      ["/", "the page"],
      ["/metadata", "First"],
    ] as const) {
      for (const second of [
        ["GET /metadata HTTP/1.1", host],
        ["GET / HTTP/1.1", host, ...upgrade],
      ]) {
        const answer = await exchange([`GET ${first} HTTP/1.1`, host, "", ...second]);
        assert.match(answer, new RegExp(`^HTTP/1.1 200 OK\r\n.*${body}`, "s"));
        assert.match(
          answer,
          /HTTP\/1\.1 400 Bad Request\r\n.*\r\n\r\na request before this one has not been answered yet$/s,
        );
      }
    }
    const alone = await exchange(["GET / HTTP/1.1", host, ...upgrade]);
    assert.match(alone, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  },
);

/** What a browser says about where a request goes to, and from which page it comes; "PORT" is the gateway's. */
const visitors: {
  what: string;
  headers: string[];
  version?: string;
  welcome: boolean;
  status?: string;
}[] = [
  { what: "no Origin, an IPv4 literal", headers: ["Host: 127.0.0.1:PORT"], welcome: true },
  { what: "no Origin, an IPv6 literal", headers: ["Host: [::1]:PORT"], welcome: true },
  {
    what: "its own page on localhost",
    headers: ["Host: localhost:PORT", "Origin: http://localhost:PORT"],
    welcome: true,
  },
  {
    what: "its own page on an IPv4 literal",
    headers: ["Host: 127.0.0.1:PORT", "Origin: http://127.0.0.1:PORT"],
    welcome: true,
  },
  {
    what: "its own page on an IPv6 literal",
    headers: ["Host: [::1]:PORT", "Origin: http://[::1]:PORT"],
    welcome: true,
  },
  {
    what: "its own page on an allowed name, behind a proxy with TLS",
    headers: ["Host: console.example", "Origin: https://console.example"],
    welcome: true,
  },
  {
    what: "its own page on an allowed name in other letters",
    headers: ["Host: CONSOLE.example:PORT", "Origin: http://console.example:PORT"],
    welcome: true,
  },
  {
    what: "a foreign page",
    headers: ["Host: 127.0.0.1:PORT", "Origin: https://evil.example"],
    welcome: false,
  },
  { what: "a page without an origin", headers: ["Host: 127.0.0.1:PORT", "Origin: null"], welcome: false },
  { what: "an empty Origin", headers: ["Host: 127.0.0.1:PORT", "Origin: "], welcome: false },
  {
    what: "a page on another port of the same host",
    headers: ["Host: 127.0.0.1:PORT", "Origin: http://127.0.0.1:1"],
    welcome: false,
  },
  {
    what: "a page on the default port of the same host",
    headers: ["Host: 127.0.0.1:PORT", "Origin: http://127.0.0.1"],
    welcome: false,
  },
  {
    what: "a page on localhost, the gateway by its address",
    headers: ["Host: 127.0.0.1:PORT", "Origin: http://localhost:PORT"],
    welcome: false,
  },
  {
    what: "a browser extension",
    headers: ["Host: 127.0.0.1:PORT", "Origin: chrome-extension://127.0.0.1:PORT"],
    welcome: false,
  },
  {
    what: "a rebound name",
    headers: ["Host: evil.example:PORT", "Origin: http://evil.example:PORT"],
    welcome: false,
  },
  { what: "a rebound name, no Origin", headers: ["Host: evil.example:PORT"], welcome: false },
  { what: "a name that ends in localhost", headers: ["Host: evil-localhost:PORT"], welcome: false },
  { what: "an address in disguise", headers: ["Host: 0x7f.1:PORT"], welcome: false },
  { what: "no Host, HTTP/1.0", headers: [], version: "1.0", welcome: false, status: "400 Bad Request" },
  { what: "no Host", headers: [], welcome: false, status: "400 Bad Request" },
  { what: "an empty Host", headers: ["Host: "], welcome: false },
  { what: "a Host with a path", headers: ["Host: 127.0.0.1:PORT/x"], welcome: false },
  { what: "a Host with a user", headers: ["Host: evil.example@127.0.0.1:PORT"], welcome: false },
  { what: "a Host that is no host", headers: ["Host: %%%:PORT:x"], welcome: false },
];

for (const { what, headers, version = "1.1", welcome, status: refused = "403 Forbidden" } of visitors) {
  tests(`${welcome ? "lets in" : "turns away"}: ${what}`, async () => {
    const lines = headers.map((line) => line.replaceAll("PORT", String(port)));
    const status = (answer: string) => answer.slice(0, answer.indexOf("\r\n")).replace(/^HTTP\/1\.1 /, "");

    for (const path of ["/metadata", "/"]) {
      const answer = await exchange([`GET ${path} HTTP/${version}`, ...lines, "Connection: close"]);
      assert.is(status(answer), welcome ? "200 OK" : refused, path);
      if (!welcome) assert.not.match(answer, /First|the page$/);
    }
    const answer = await exchange([`GET /one HTTP/${version}`, ...lines, ...upgrade]);
    assert.is(status(answer), welcome ? "101 Switching Protocols" : refused);
    if (!welcome) {
      assert.equal(
        log.map((line) => line.replace(/^(refused "GET [^ ]*") with \d+: .*$/, "$1")),
        ['refused "GET /metadata"', 'refused "GET /"', 'refused "GET /one"'],
      );
      assert.not(existsSync(socketOf("one")));
    }
  });
}

tests("a refused upgrade whose other side stays does not hold up the end", async () => {
  const socket = createConnection({ port, host: "127.0.0.1", allowHalfOpen: true });
  try {
    const lines = [
      "GET /one HTTP/1.1",
      `Host: 127.0.0.1:${port}`,
      "Origin: https://evil.example",
      ...upgrade,
    ];
    let answer = "";
    socket.on("data", (chunk) => {
      answer += chunk;
    });
    const refused = new Promise((resolve) => socket.once("end", resolve));
    socket.write(`${lines.join("\r\n")}\r\n\r\n`);
    await within(5000, "the answer", refused);
    assert.match(answer, /^HTTP\/1\.1 403 Forbidden\r\n.*\r\n\r\nthe request comes from another web page$/s);
    await within(2000, "close", running.close());
  } finally {
    socket.destroy();
  }
});

const image = Uint8Array.from({ length: 100_001 }, (_, i) => (i * 7) & 0xff);

/** Serves an image to the gateway. */
function serve(path: string, bytes = image, options: ClientOptions = {}) {
  const socket = new WebSocket(new URL(path, running.url.replace("http", "ws")), options);
  const ending = new AbortController();
  const ended = pipe(
    webSocket(socket),
    nbdServer(memoryExport(bytes, { readOnly: true }), { signal: ending.signal }),
  );
  ended.catch(() => {});
  return { socket, ended, stop: () => socket.close(1000) };
}

async function read(path: string): Promise<Uint8Array> {
  const remote = await nbdClient(socketTransport(createConnection({ path, allowHalfOpen: true })));
  try {
    return (await remote.read(0, remote.size)) as Uint8Array;
  } finally {
    await remote.close();
  }
}

const listening = (path: string) => until(`${path} is there`, () => existsSync(path));

/** The reason with which the gateway ends a session. */
async function reasonOf(ended: Promise<void>): Promise<string> {
  try {
    await within(5000, "the end of the session", ended);
  } catch (error) {
    return error instanceof WebSocketError ? (error.reason ?? error.message) : (error as Error).message;
  }
  return "(none)";
}

tests("runs sessions for two configurations at the same time", async () => {
  const first = serve("/");
  const second = serve(`/${encodeURIComponent("two ü")}?x=y`, image.slice(5));
  await listening(socketOf("one"));
  await listening(socketOf("two"));
  assert.equal(await Promise.all([read(socketOf("one")), read(socketOf("two"))]), [image, image.slice(5)]);
  first.stop();
  await first.ended;
  await until("the first socket is gone", () => !existsSync(socketOf("one")));
  assert.equal(await read(socketOf("two")), image.slice(5));
  second.stop();
  await second.ended;
  await until("both are logged", () => log.filter((line) => line.includes(": ended after")).length === 2);
});

tests("refuses a second session for a configuration in use, and the first is unharmed", async () => {
  const first = serve("/one");
  await listening(socketOf("one"));
  assert.is(await reasonOf(serve("/").ended), "this configuration is in use by another session");
  assert.equal(await read(socketOf("one")), image);
  first.stop();
});

tests("a session follows at once upon one whose link is gone", async () => {
  const first = serve("/one");
  await listening(socketOf("one"));
  first.socket.terminate();
  await until("the gateway has noticed", () => log.some((line) => /one: (ended|the )/.test(line)));
  const second = serve("/one", image.slice(9));
  await listening(socketOf("one"));
  assert.equal(await read(socketOf("one")), image.slice(9));
  second.stop();
});

tests("gives a configuration free whose session went to sleep, and keeps one that is only idle", async () => {
  await running.close();
  await start({ pingInterval: 100 });
  const asleep = serve("/one", image, { autoPong: false });
  await listening(socketOf("one"));
  await until("the gateway gives up", () => log.includes("one: the other side does not answer any more"));
  await asleep.ended.catch(() => {});

  const second = serve("/one", image.slice(9));
  let pings = 0;
  second.socket.on("ping", () => pings++);
  await listening(socketOf("one"));
  await until("many pings", () => pings >= 6 || second.socket.readyState !== WebSocket.OPEN);
  assert.equal(await read(socketOf("one")), image.slice(9));
  second.stop();
});

tests("says why it ends a session: in the log all of it, to the other side what concerns that", async () => {
  await writeFile(socketOf("two"), "not a socket");
  for (const [path, bytes, told, logged] of [
    ["/nowhere", image, "there is no such configuration", 'there is no configuration "nowhere"'],
    ["/%E0%A4%A", image, "there is no such configuration", 'there is no configuration "%E0%A4%A"'],
    [
      "/device",
      image,
      "the other machine has no place for the disk; its log says why",
      'device: config.json: configuration "device": "nbd-device": /dev/null is not a block device',
    ],
    [
      "/two%20%C3%BC",
      image,
      "the other machine has no place for the disk; its log says why",
      `two ü: config.json: configuration "two ü": "listen": unix:${socketOf("two")}: there is something else of that name, which is not a socket`,
    ],
    ["/one", new Uint8Array(0), "the export is empty, 0 bytes", "one: the export is empty, 0 bytes"],
  ] as const) {
    assert.is(await reasonOf(serve(path, bytes).ended), told);
    assert.is(log.pop(), logged);
  }
});

tests("serves the page with its headers, and nothing else", async () => {
  const page = await fetch(running.url);
  assert.is(await page.text(), "the page");
  assert.match(page.headers.get("content-security-policy") ?? "", /default-src 'self'/);
  assert.match(page.headers.get("content-security-policy") ?? "", /frame-ancestors 'none'/);
  assert.is(page.headers.get("x-content-type-options"), "nosniff");
  assert.is(page.headers.get("referrer-policy"), "no-referrer");
  assert.is((await fetch(new URL("/nowhere", running.url))).status, 404);
});

for (const path of [
  "/../package.json",
  "/../config.json",
  "/%2e%2e/package.json",
  "/..%2fpackage.json",
  "/%2e%2e%2fpackage.json",
  "/x/../../package.json",
  "/..%5cpackage.json",
  "//package.json",
  "/%E0%A4%A",
  "/%",
  "/%00",
  "*",
  "http://evil.example/../package.json",
]) {
  tests(`stays in the page's folder, and alive: GET ${path}`, async () => {
    const answer = await exchange([`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, "Connection: close"]);
    assert.match(answer, /^HTTP\/1\.1 [24]0/);
    assert.not.match(answer, /outside of the page's folder|configurations/);
    assert.is((await fetch(running.url)).status, 200);
  });
}

tests("/metadata is what nbd-proxy --metadata prints", async () => {
  const response = await fetch(new URL("/metadata", running.url));
  assert.match(response.headers.get("content-type") ?? "", /^application\/json/);
  assert.is(response.headers.get("default-configuration"), "one");
  const places = `one=${encodeURIComponent(`unix:${socketOf("one")}`)}, two%20%C3%BC=`;
  assert.ok(response.headers.get("places")?.startsWith(places));
  const metadata = await response.json();
  const printed = await sandbox.run(program("nbd-proxy"), [
    "--config",
    sandbox.path("config.json"),
    "--metadata",
  ]);
  assert.equal(metadata, JSON.parse(printed));
  assert.equal(metadata, {
    one: { description: "First" },
    "two ü": null,
    device: { description: "Virtual media device" },
  });
});

tests("close() ends a session in order: what is outstanding is answered", async () => {
  const first = serve("/one");
  await listening(socketOf("one"));
  const remote = await nbdClient(
    socketTransport(createConnection({ path: socketOf("one"), allowHalfOpen: true })),
  );
  const outstanding = remote.read(1, 1000);
  await outstanding;
  await within(2000, "close", running.close());
  await first.ended;
  assert.not(existsSync(socketOf("one")));
  await remote.read(0, 1).then(
    () => assert.unreachable("the export is gone"),
    (error: ExportError) => assert.is(error.errno, 5),
  );
});

tests("close() says when something that was written is lost, once all sessions have ended", async () => {
  const full = () => Promise.reject(new Error("the disk is full"));
  const socket = new WebSocket(new URL("/one", running.url.replace("http", "ws")));
  const served = pipe(webSocket(socket), nbdServer({ ...memoryExport(image.slice()), flush: full }));
  served.catch(() => {});
  const other = serve("/two%20%C3%BC");
  await listening(socketOf("one"));
  await listening(socketOf("two"));
  const remote = await nbdClient(
    socketTransport(createConnection({ path: socketOf("one"), allowHalfOpen: true })),
  );
  await remote.write!(0, new Uint8Array(512));
  const error = await within(5000, "close", failure(running.close()));
  await start(); // one that ends in order
  assert.is(error.message, "a session has not ended in order, for the reason above");
  assert.ok(
    log.some((line) => /^one: the server answered EIO to FLUSH/.test(line)),
    log.join("\n"),
  );
  await other.ended;
});

tests("close() lets no WebSocket in any more", async () => {
  const socket = createConnection(port, "127.0.0.1");
  const [first, ...rest] = ["GET /one HTTP/1.1", `Host: 127.0.0.1:${port}`, ...upgrade];
  await new Promise((resolve) => socket.write(`${first}\r\n`, resolve));
  assert.is((await fetch(running.url)).status, 200, "the gateway has seen it");
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  const over = new Promise((resolve) => socket.once("close", resolve));
  const closing = running.close();
  socket.write(`${rest.join("\r\n")}\r\n\r\n`);
  await within(2000, "close", Promise.all([closing, over]));
  assert.match(answer, /^HTTP\/1\.1 503 .*the gateway is ending$/s);
});

/** Runs the program and returns its exit status and what it said. */
async function run(...args: string[]): Promise<[number | string, string]> {
  const gateway = sandbox.start(program("nbd-gateway"), ["--config", sandbox.path("config.json"), ...args]);
  const status = await within(10_000, "nbd-gateway", gateway.exit);
  return [status, gateway.stderr];
}

for (const host of ["0.0.0.0", "::", "192.0.2.1", "example.org", "127.evil.example"]) {
  tests(`refuses to listen on ${host}`, async () => {
    const [status, stderr] = await run("--port", "0", "--host", host);
    assert.is(status, 1);
    assert.match(stderr, /^nbd-gateway: listening on .* is refused: .*loopback.*\n$/);
  });
}

tests("refuses to listen on nothing", async () => {
  const [status, stderr] = await run("--port", "0", "--host", "");
  assert.is(status, 1);
  assert.is(stderr, 'nbd-gateway: --host must be a host name or an IP address, not ""\n');
});

tests("a port in use is one line", async () => {
  const [status, stderr] = await run("--port", String(port));
  assert.is(status, 1);
  const line = `nbd-gateway: listening on 127.0.0.1 port ${port}: it is in use by another process\n`;
  assert.is(stderr, line);
});

for (const host of ["::1", "localhost", "127.0.0.2"]) {
  tests(`prints its URL on ${host} and ends with status 0 by a signal`, async () => {
    const gateway = sandbox.start(program("nbd-gateway"), [
      ...["--config", sandbox.path("config.json"), "--port", "0", "--host", host, "--no-auth"],
    ]);
    await until("the URL", () => gateway.stdout.endsWith("\n"));
    assert.is((await fetch(new URL("/metadata", gateway.stdout.trim()))).status, 200);
    gateway.kill("SIGINT");
    assert.is(await within(3000, "its end", gateway.exit), 0, gateway.stderr);
    const words = "--no-auth: every user and every program of this machine gets in";
    const places = [
      `one: its disk will be at unix:${socketOf("one")}`,
      `two ü: its disk will be at unix:${socketOf("two")}`,
    ];
    const lines = [words, ...places, "device: its disk will be at /dev/null"];
    assert.is(gateway.stderr, lines.map((line) => `nbd-gateway: ${line}\n`).join(""));
  });
}

tests.run();
