/** The gateway over TLS, and behind a proxy on a unix socket: who is let in, what they see, certificates exchanged meanwhile. */
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, statSync } from "node:fs";
import { request } from "node:http";
import { connect as connectPlainly } from "node:net";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { certificateFiles } from "../../src/node/gateway/tls/certificate-files.ts";
import type { Certificates } from "../../src/node/gateway/tls/certificates.ts";
import { selfSigned } from "../../src/node/gateway/tls/self-signed.ts";
import {
  connectExport,
  type Gateway,
  type GatewayOptions,
  gateway,
  memoryExport,
  nbdServer,
  parseConfig,
  join as pipe,
  tokenAccess,
  webSocket,
} from "../../src/node/index.ts";
import { failure, sequence } from "../bytes.ts";
import { type Pair, pairOf, writePair } from "../certificates.ts";
import { Sandbox, suite, until, within } from "../harness.ts";
import { statusOf, upgrade } from "../node/raw-http.ts";
import { writePage } from "./page.ts";

const tests = suite("TLS");

let sandbox: Sandbox;
let running: Gateway | undefined;
let certificates: Certificates | undefined;
let log: string[];
const note = (line: string) => void log.push(line);

tests.before.each(() => {
  sandbox = new Sandbox();
  log = [];
});

tests.after.each(async () => {
  certificates?.close();
  await running?.close();
  running = certificates = undefined;
  await sandbox.end();
});

async function start(options: Partial<GatewayOptions> = {}, keys: object = {}): Promise<Gateway> {
  const configurations = { one: { listen: `unix:${sandbox.path("one.sock")}`, default: true } };
  const config = parseConfig(
    "config.json",
    JSON.stringify({ "state-hook": "/nowhere", ...keys, configurations }),
  );
  const staticFolder = sandbox.path("web");
  if (!existsSync(staticFolder)) await writePage(staticFolder);
  running = await gateway({ config, port: 0, staticFolder, log: note, ...options });
  return running;
}

/** A gateway that has its certificate from files. */
async function startWith(pair: Pair, options: Partial<GatewayOptions> = {}): Promise<number> {
  certificates = await certificateFiles({ ...pair, log: note, lookInterval: 20 });
  return Number(new URL((await start({ tls: certificates, ...options })).url).port);
}

/** A TLS connection, which does not look at the certificate. */
async function secured(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  await once(socket, "secureConnect");
  return socket;
}

/** Sends a request over TLS, and returns what is answered until the end of the connection or a WebSocket. */
async function exchange(port: number, head: readonly string[]): Promise<string> {
  const socket = await secured(port);
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
    if (/^HTTP\/1\.1 101 .*\r\n\r\n/s.test(text)) socket.destroy();
  });
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  await within(10_000, head[0]!, once(socket, "close"));
  return text;
}

const fingerprintOf = (socket: TLSSocket) => socket.getPeerCertificate().fingerprint256;

async function fingerprintAt(port: number): Promise<string> {
  const socket = await secured(port);
  const fingerprint = fingerprintOf(socket);
  socket.destroy();
  return fingerprint;
}

/** Serves bytes over a WebSocket; settles when the session has begun. */
async function serve(port: number, bytes: Uint8Array, ca: string) {
  const socket = new WebSocket(`wss://127.0.0.1:${port}/`, { ca });
  const ending = new AbortController();
  const served = pipe(
    webSocket(socket),
    nbdServer(memoryExport(bytes, { readOnly: true }), { signal: ending.signal }),
  );
  served.catch(() => {});
  await until("the session", () => existsSync(sandbox.path("one.sock")));
  return { socket, ended: served, end: () => ending.abort() };
}

async function readAll(): Promise<Uint8Array> {
  const remote = await connectExport(`nbd+unix:///?socket=${sandbox.path("one.sock")}`);
  try {
    return await remote.read(0, remote.size);
  } finally {
    await remote.close();
  }
}

tests("page, metadata and WebSocket are served; the URL says https", async () => {
  const pair = writePair(sandbox, "a", ["localhost", "127.0.0.1"]);
  const port = await startWith(pair);
  assert.is(running!.url, `https://127.0.0.1:${port}/`);
  const get = (path: string, ...more: string[]) =>
    exchange(port, [`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${port}`, ...more]);
  assert.is(statusOf(await get("/page.js", "Connection: close")), 200);
  assert.is(statusOf(await get("/metadata", "Connection: close")), 200);
  assert.is(statusOf(await get("/", ...upgrade, `Origin: https://127.0.0.1:${port}`)), 101);
  const bytes = sequence(3_000_001);
  const { end, ended } = await serve(port, bytes, pair.cert);
  assert.equal(Buffer.compare(await readAll(), bytes), 0);
  end();
  await within(
    5000,
    "the end",
    ended.catch(() => {}),
  );
});

tests("a page that came by plain HTTP gets no answer, whoever made it on the way", async () => {
  const port = await startWith(writePair(sandbox, "a", ["localhost"]));
  const head = ["GET / HTTP/1.1", `Host: 127.0.0.1:${port}`, ...upgrade];
  const answer = await exchange(port, [...head, `Origin: http://127.0.0.1:${port}`]);
  assert.is(statusOf(answer), 403);
  assert.match(log.join("\n"), /another web page/);
});

tests(
  "names of the certificate and of the host are allowed, a wildcard for one label, and no others",
  async () => {
    const names = ["console.example", "*.rack.example"];
    const port = await startWith(writePair(sandbox, "a", names), { host: "localhost" });
    const status = async (host: string) =>
      statusOf(
        await exchange(port, ["GET /metadata HTTP/1.1", `Host: ${host}:${port}`, "Connection: close"]),
      );
    for (const host of ["console.example", "Console.Example.", "a.rack.example", "127.0.0.1", "localhost"])
      assert.is(await status(host), 200, host);
    for (const host of ["evil.example", "a.b.rack.example", "rack.example", ".rack.example", "example"])
      assert.is(await status(host), 403, host);
  },
);

tests("who speaks HTTP there is told so, and nothing else", async () => {
  const port = await startWith(writePair(sandbox, "a", ["localhost"]));
  const socket = connectPlainly(port, "127.0.0.1");
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  socket.write(`GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  await within(5000, "the answer", once(socket, "close"));
  assert.match(text, /^HTTP\/1\.1 400 .*\r\n\r\nthis port speaks HTTPS: use https:\/\/ and wss:\/\/$/s);
  assert.match(log.join("\n"), /^refused a connection with 400: the client speaks HTTP, and this port/);
});

tests("TLS before 1.2 is refused, and a second negotiation", async () => {
  const port = await startWith(writePair(sandbox, "a", ["localhost"]));
  const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" } as const;
  assert.match((await failure(secured(port, old))).message, /protocol version|unsupported protocol/);
  const socket = await secured(port, { maxVersion: "TLSv1.2" });
  socket.once("error", () => {});
  const renegotiated = new Promise((resolve) => socket.renegotiate({}, (error) => resolve(!error)));
  const waited = new Promise((resolve) => setTimeout(resolve, 500, false));
  assert.is(await Promise.race([renegotiated, waited]), false);
  socket.destroy();
});

tests("browsers are not told to come by https alone: that would hold for all ports of the host", async () => {
  const folder = sandbox.path("state");
  certificates = await selfSigned({ folder, host: "127.0.0.1", log: note });
  await start({ tls: { ...certificates, current: { ...certificates.current, isSelfSigned: false } } });
  const port = Number(new URL(running!.url).port);
  const answer = await exchange(port, ["GET / HTTP/1.1", `Host: 127.0.0.1:${port}`, "Connection: close"]);
  assert.is(statusOf(answer), 200);
  assert.not.match(answer, /strict-transport/i);
});

tests("a certificate is exchanged while a session goes on, and new connections see the new one", async () => {
  const pair = writePair(sandbox, "a", ["localhost", "127.0.0.1"]);
  const port = await startWith(pair);
  const before = await fingerprintAt(port);
  const bytes = sequence(8 << 20);
  const { socket, end, ended } = await serve(port, bytes, pair.cert);
  const reading = readAll();
  const next = writePair(sandbox, "b", ["localhost", "127.0.0.1"]);
  renameSync(next.keyFile, pair.keyFile);
  renameSync(next.certFile, pair.certFile);
  await until("the new one is served", async () => (await fingerprintAt(port)) !== before);
  assert.is(await fingerprintAt(port), certificates!.current.fingerprint);
  assert.is(Buffer.compare(await reading, bytes), 0);
  assert.is(Buffer.compare(await readAll(), bytes), 0);
  assert.is(socket.readyState, WebSocket.OPEN);
  // A ticket of the old one is not good any more.
  end();
  await within(
    5000,
    "the end",
    ended.catch(() => {}),
  );
  assert.match(log.join("\n"), /took the new certificate/);
});

tests("a bad pair leaves the old one in service", async () => {
  const pair = writePair(sandbox, "a", ["localhost"]);
  const port = await startWith(pair);
  const before = await fingerprintAt(port);
  chmodSync(pair.keyFile, 0o644);
  await until("a line", () => log.length > 0);
  assert.match(log[0]!, /keeps the old certificate: reading the key .* lets others in/);
  assert.is(await fingerprintAt(port), before);
});

tests("connections whose handshake is not over count, and the next one is ended", async () => {
  const port = await startWith(writePair(sandbox, "a", ["localhost"]), { maxConnections: 3 });
  const idle = [1, 2, 3].map(() => connectPlainly(port, "127.0.0.1").on("error", () => {}));
  await Promise.all(idle.map((socket) => once(socket, "connect")));
  await until("they count", async () => {
    const one = connectPlainly(port, "127.0.0.1").on("error", () => {});
    await within(5000, "its end", once(one, "close"));
    return log.some((line) => /refused a connection: 3 are open/.test(line));
  });
  for (const socket of idle) socket.destroy();
  await until("there is room again", () => fingerprintAt(port).then(Boolean, () => false));
});

tests("a handshake that takes too long is ended, a connection whose handshake is over is not", async () => {
  certificates = await certificateFiles({ ...writePair(sandbox, "a", ["localhost"]), log: note });
  await start({ tls: certificates }, { "handshake-timeout": 1, "idle-timeout": 30 });
  const port = Number(new URL(running!.url).port);
  const good = await secured(port);
  const slow = connectPlainly(port, "127.0.0.1");
  slow.write(Buffer.of(0x16, 3, 1));
  const head = ["GET /metadata HTTP/1.1", `Host: 127.0.0.1:${port}`, "", ""].join("\r\n");
  good.write(head);
  await once(good, "data");
  await within(5000, "its end", once(slow, "close"));
  good.write(head);
  assert.match(String((await once(good, "data"))[0]), /^HTTP\/1\.1 200/);
  good.destroy();
});

tests("beyond loopback it needs TLS or a proxy", async () => {
  for (const host of ["0.0.0.0", "192.0.2.1", "gateway.example"]) {
    const { message } = await failure(start({ host }));
    assert.match(
      message,
      new RegExp(
        `^listening on ${host.replaceAll(".", "\\.")} is refused: .*--tls-self-signed, or --behind-proxy`,
      ),
    );
  }
});

tests("behind a proxy, and beyond loopback, it needs a login", async () => {
  const behindProxy = [`unix:${sandbox.path("run/gateway.sock")}`];
  const { message } = await failure(start({ behindProxy }));
  assert.match(message, /^a gateway behind a proxy needs a login \(the option "access"\): .*"everybody"$/);
  for (const access of [undefined, "everybody"] as const) {
    const wanted = { host: "0.0.0.0", behindProxy: ["192.0.2.7"], ...(access && { access }) };
    assert.match((await failure(start(wanted))).message, /^listening on 0\.0\.0\.0 .* needs a login/);
  }
});

/** Asks over the unix socket of a gateway behind a proxy. */
function ask(path: string, headers: Record<string, string>, body = ""): Promise<number> {
  const where = {
    socketPath: sandbox.path("run/gateway.sock"),
    path,
    method: body ? "POST" : "GET",
    headers,
  };
  return new Promise((resolve, reject) => {
    const asked = request(where, (answer) => {
      answer.resume();
      answer.once("end", () => resolve(answer.statusCode!));
    });
    asked.once("upgrade", (answer, socket) => {
      socket.destroy();
      resolve(answer.statusCode!);
    });
    asked.once("error", reject);
    asked.end(body);
  });
}

tests(
  "behind a proxy it listens on a unix socket, for whom its mode lets in, and believes the proxy",
  async () => {
    mkdirSync(sandbox.path("run"), { mode: 0o755 });
    const path = sandbox.path("run/gateway.sock");
    await start({ behindProxy: [`unix:${path}`], access: "everybody" });
    assert.is(statSync(path).mode & 0o777, 0o600);
    assert.is(running!.url, `unix:${path}`);
    await running!.close();
    assert.not.ok(existsSync(path));
    const group = process.getgid!();
    const socketPermissions = { mode: 0o660, group };
    await start({ behindProxy: [`unix:${path}`], access: "everybody", socketPermissions });
    assert.is(statSync(path).mode & 0o777, 0o660);

    const host = { Host: "127.0.0.1" };
    const forwarded = { ...host, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost:8443" };
    assert.is(await ask("/metadata", host), 200);
    assert.is(await ask("/metadata", { ...forwarded, "X-Forwarded-For": "evil, 192.0.2.1" }), 200);
    assert.is(await ask("/metadata", { ...forwarded, "X-Forwarded-Host": "evil.example" }), 403);
    assert.is(await ask("/metadata", { ...forwarded, "X-Forwarded-Host": "a, b" }), 400);
    assert.is(await ask("/metadata", { ...forwarded, "X-Forwarded-For": "evil" }), 400);
    const socket = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    };
    assert.is(await ask("/", { ...forwarded, ...socket, Origin: "https://localhost:8443" }), 101);
    assert.is(await ask("/", { ...forwarded, ...socket, Origin: "http://localhost:8443" }), 403);
    assert.is(await ask("/", { ...forwarded, ...socket, Origin: "https://127.0.0.1" }), 403);
  },
);

tests("a login is a cookie where all is encrypted, by TLS here or at the proxy, and else an id", async () => {
  const tokenFile = sandbox.path("state/token");
  const access = tokenAccess({ tokenFile, log: note });
  try {
    const body = JSON.stringify({ token: readFileSync(tokenFile, "utf8").trim() });
    const port = await startWith(writePair(sandbox, "a", ["localhost"]), { access });
    const own = `https://127.0.0.1:${port}`;
    const head = ["POST /login HTTP/1.1", `Host: 127.0.0.1:${port}`, `Origin: ${own}`, "Connection: close"];
    const type = ["Content-Type: application/json", `Content-Length: ${body.length}`];
    const answer = await exchange(port, [...head, ...type, "", body]);
    assert.is(statusOf(answer), 204);
    assert.match(answer, /\r\nSet-Cookie: __Host-nbd-proxy-[\da-f]{8}=.*; Secure/i);
    await running!.close();

    mkdirSync(sandbox.path("run"), { mode: 0o755 });
    await start({ access, behindProxy: [`unix:${sandbox.path("run/gateway.sock")}`] });
    const from = { Host: "x", "X-Forwarded-Host": "127.0.0.1", "X-Forwarded-For": "127.0.0.1" };
    const forwarded = { ...from, "Content-Type": "application/json" };
    const logIn = (proto: string) =>
      ask("/login", { ...forwarded, Origin: `${proto}://127.0.0.1`, "X-Forwarded-Proto": proto }, body);
    assert.is(await logIn("https"), 204);
    assert.is(await logIn("http"), 200);
    assert.is(await ask("/metadata", { Host: "127.0.0.1" }), 401);
  } finally {
    access.close();
  }
});

tests("behind a proxy at an address everybody else is refused, at each door", async () => {
  await start({ behindProxy: ["127.0.0.2"], access: "everybody" });
  const port = Number(new URL(running!.url).port);
  const claims = { "X-Forwarded-Proto": "https", "X-Forwarded-For": "127.0.0.2" };
  for (const path of ["/", "/metadata", "/one"]) {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers: claims });
    assert.is(answer.status, 403, path);
    assert.is(await answer.text(), "this gateway is reached through its proxy only\n");
  }
  const refused = new WebSocket(`ws://127.0.0.1:${port}/`, { headers: claims });
  assert.match((await failure(once(refused, "open"))).message, /403/);
  assert.match(
    log[0]!,
    /comes from 127.0.0.1, which is not a proxy; if it is one, name it with --behind-proxy/,
  );
  const believed = new WebSocket(`ws://127.0.0.1:${port}/`, { localAddress: "127.0.0.2" });
  await within(5000, "the proxy's WebSocket", once(believed, "open"));
  believed.terminate();
});

tests("no line of the log has anything of a key in it", async () => {
  const pair = writePair(sandbox, "a", ["localhost"]);
  const port = await startWith(pair);
  const other = pairOf(["localhost"]);
  renameSync(writePair(sandbox, "b", ["localhost"]).keyFile, pair.keyFile);
  await until("a line", () => log.length > 0);
  await exchange(port, ["GET / HTTP/1.1", "Host: evil.example", "Connection: close"]);
  for (const key of [pair.key, other.key]) {
    const secret = key.split("\n")[1]!.slice(20, 40);
    assert.not.ok(log.some((line) => line.includes(secret)));
  }
});

tests.run();
