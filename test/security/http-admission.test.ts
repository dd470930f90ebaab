/** Who is let in: each door, with what other servers understand in another way, and with what another site's page asks for. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { doors } from "../../src/node/gateway/admission.ts";
import { root, Sandbox, until } from "../harness.ts";
import { exchange, statusOf, upgrade } from "../node/raw-http.ts";
import { eachWay } from "./each-way.ts";
import { type GatewayHere, type GatewayHereOptions, gatewayHere } from "./gateway-here.ts";
import { linesOf } from "./login-here.ts";
import { writePage } from "./page.ts";

const tests = eachWay("who is let in by HTTP");

let sandbox: Sandbox;
let here: GatewayHere;
let port: number;
let log: string[];

// A gateway for each, as what strangers do makes no more than 20 lines at once.
tests.before.each(async ({ hasLogin }) => {
  sandbox = new Sandbox();
  await writePage(sandbox.path("web"));
  await start({ hasLogin });
});

async function start(options: GatewayHereOptions): Promise<void> {
  const configurations = { one: { listen: `unix:${sandbox.path("one.sock")}` } };
  const keys = { "allowed-origins": [OTHER] };
  here = await gatewayHere(sandbox, configurations, { keys, staticFolder: sandbox.path("web"), ...options });
  ({ port, log } = here);
}

tests.after.each(async () => {
  await here.running.close();
  await sandbox.end();
});

/** A page of others that may use the gateway. */
const OTHER = "https://console.example";

/** A request with a body. The requests are refused before anybody looks at it. */
const post = {
  method: "POST",
  headers: ["Content-Type: application/json", "Content-Length: 2", "Connection: close"],
};

/** How each door is knocked at, and what is behind it. A door that is added is to be added here. */
const knocks: Record<
  keyof typeof doors,
  { method?: string; path: string; headers?: string[]; body?: string; behind: number }
> = {
  page: { path: "/page.js", behind: 200 },
  metadata: { path: "/metadata", behind: 200 },
  preflight: {
    method: "OPTIONS",
    path: "/metadata",
    headers: [`Origin: ${OTHER}`, "Access-Control-Request-Method: GET", "Connection: close"],
    behind: 204,
  },
  login: { ...post, path: "/login", body: "{}", behind: 404 },
  logout: { ...post, path: "/logout", body: "{}", behind: 204 },
  eject: {
    method: "POST",
    path: "/eject/one",
    headers: ["Content-Length: 0", "Connection: close"],
    behind: 404,
  },
  pull: { ...post, path: "/pull/one", body: "{}", behind: 400 },
  status: { path: "/status", behind: 200 },
  events: { path: "/events", behind: 200 },
  metrics: { path: "/metrics", behind: 200 },
  notUpgraded: { path: "/one", behind: 426 },
  nothing: { path: "/nothing", behind: 404 },
  session: { path: "/one", headers: upgrade, behind: 101 },
  tunnel: { method: "CONNECT", path: "/one", behind: 405 },
};

interface Change {
  what: string;
  method?: string;
  /** In place of the path. */
  target?: string;
  /** Behind the path. */
  query?: string;
  version?: string;
  host?: string[];
  headers?: string[];
  body?: string;
  status: number;
}

const own = () => `Host: 127.0.0.1:${port}`;

/** What is refused at every door. CONNECT is never taken. */
const everywhere: Change[] = [
  { what: "a fragment in the query", query: "?x#y", status: 400 },
  { what: "a token in the query", query: "?token=x", status: 400 },
  {
    what: "more headers than are taken",
    headers: Array.from({ length: 101 }, (_, i) => `X-${i}: y`),
    status: 431,
  },
  { what: "HTTP/0.9", version: "0.9", status: 400 },
  { what: "HTTP/2.0", version: "2.0", status: 400 },
  { what: "no Host", host: [], status: 400 },
  { what: "two Hosts, ours first", host: ["Host: localhost", "Host: evil.example"], status: 400 },
  { what: "two Hosts, ours last", host: ["Host: evil.example", "HOST: localhost"], status: 400 },
  { what: "the same Host twice", host: ["Host: localhost", "host: localhost"], status: 400 },
  { what: "Expect: 100-continue", headers: ["Expect: 100-continue"], status: 400 },
  { what: "Expect: something", headers: ["Expect: something"], status: 400 },
  { what: "a rebound name", host: ["Host: evil.example"], status: 403 },
];

/** What is refused at every door that takes GET. */
const refused: Change[] = [
  ...["POST", "PUT", "DELETE", "TRACE", "OPTIONS", "PATCH", "PROPFIND"].map((method) => ({
    what: method,
    method,
    status: 405,
  })),
  { what: "a method that does not exist", method: "GOT", status: 400 },
  { what: "a target with scheme and host", target: "http://127.0.0.1/page.js", status: 400 },
  { what: "a target with another host", target: "http://evil.example/", status: 400 },
  { what: "an authority as target", target: "127.0.0.1:80", status: 400 },
  { what: "an asterisk as target", target: "*", status: 400 },
  { what: "a fragment in the target", target: "/page.js#x", status: 400 },
  { what: "a body", headers: ["Content-Length: 3"], body: "abc", status: 400 },
  { what: "a body that does not come", headers: ["Content-Length: 3"], status: 400 },
  { what: "a chunked body", headers: ["Transfer-Encoding: chunked"], body: "0\r\n\r\n", status: 400 },
  {
    what: "a chunked body with another request in it",
    headers: ["Transfer-Encoding: chunked"],
    body: "1b\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n\r\n0\r\n\r\n",
    status: 400,
  },
  {
    what: "two lengths of the body",
    headers: ["Content-Length: 0", "Transfer-Encoding: chunked"],
    body: "0\r\n\r\n",
    status: 400,
  },
  {
    what: "two Content-Lengths",
    headers: ["Content-Length: 0", "Content-Length: 3"],
    body: "abc",
    status: 400,
  },
  { what: "a blank before the colon", headers: ["Content-Length : 3"], body: "abc", status: 400 },
  {
    what: "an image on another site's page",
    headers: ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: image"],
    status: 403,
  },
  {
    what: "no-cors from another site",
    headers: ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: empty"],
    status: 403,
  },
  {
    what: "a script on a page of the same site",
    headers: ["Sec-Fetch-Site: same-site", "Sec-Fetch-Dest: script"],
    status: 403,
  },
  {
    what: "a frame on another site's page",
    headers: ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Dest: iframe"],
    status: 403,
  },
  { what: "another site, no destination", headers: ["Sec-Fetch-Site: cross-site"], status: 403 },
  { what: "two sites", headers: ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"], status: 403 },
  { what: "another site's Origin", headers: ["Origin: https://evil.example"], status: 403 },
  {
    what: "two Origins",
    headers: ["Origin: http://127.0.0.1:PORT", "Origin: https://evil.example"],
    status: 403,
  },
];

async function ask(door: keyof typeof doors, change: Partial<Change>): Promise<string> {
  const { method = "GET", path, headers = [], body } = knocks[door];
  const lines = [
    `${change.method ?? method} ${change.target ?? path}${change.query ?? ""} HTTP/${change.version ?? "1.1"}`,
    ...(change.host ?? [own()]),
    ...linesOf(here.headers),
    ...(headers.length > 0 ? headers : ["Connection: close"]),
    ...(change.headers ?? []),
  ];
  return exchange(
    port,
    lines.map((line) => line.replaceAll("PORT", String(port))),
    change.body ?? body,
  );
}

const all = Object.keys(doors) as (keyof typeof doors)[];
const takes = (door: keyof typeof doors, method: string) =>
  (doors[door].methods as readonly string[]).includes(method);

tests("each door is asked about, and opens", async ({ hasLogin }) => {
  assert.equal(Object.keys(knocks).sort(), Object.keys(doors).sort());
  for (const door of all) {
    // Where there is a login, a request for it without a token makes no sense; else there is no such thing.
    const behind = door === "login" && hasLogin ? 400 : knocks[door].behind;
    assert.is(statusOf(await ask(door, {})), behind, door);
  }
});

tests.once("there is one HTTP server, and nobody else listens to its requests", () => {
  const folder = join(root, "src/node");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  const holding = (pattern: RegExp) =>
    files.filter((name) => pattern.test(readFileSync(join(folder, name), "utf8")));
  assert.equal(holding(/createServer[^;]* from "node:https?"/), ["gateway/front.ts"]);
  assert.equal(holding(/"(request|upgrade|connect|checkContinue|checkExpectation)", \w/), [
    "gateway/front.ts",
  ]);
});

async function isRefused(door: keyof typeof doors, change: Partial<Change>, status: number): Promise<void> {
  log.length = 0;
  const answer = await ask(door, change);
  assert.is(statusOf(answer), status, `${door}: ${answer}`);
  assert.match(answer, /\r\nConnection: close\r\n/, "the connection ends");
  assert.is(answer.match(/HTTP\/1\.1 /g)?.length, 1, "there is one answer");
  assert.not.match(answer, /config\.json|one\.sock|allowed-hosts/, "the other side is told nothing of ours");
  await until("one line", () => log.length > 0);
  assert.match(log.join("\n"), new RegExp(`^refused [^\n]* with ${status}: [^\n]*$`));
}

for (const change of everywhere) {
  tests(`refused at each door: ${change.what}`, async () => {
    for (const door of all) if (door !== "tunnel") await isRefused(door, change, change.status);
  });
}

for (const change of refused) {
  tests(`refused at each door that takes GET: ${change.what}`, async () => {
    for (const door of all) if (takes(door, "GET")) await isRefused(door, change, change.status);
  });
}

/** Starts it anew behind a proxy at this address. */
async function startBehind(address: string, hasLogin: boolean): Promise<void> {
  await here.running.close();
  await start({ hasLogin, behindProxy: [address], ...(!hasLogin && { access: "everybody" }) });
}

tests("refused at each door: who does not come through the proxy", async ({ hasLogin }) => {
  await startBehind("127.0.0.2", hasLogin);
  for (const door of all) await isRefused(door, { headers: ["X-Forwarded-For: 127.0.0.2"] }, 403);
});

tests("refused at each door: what came to the proxy over plain HTTP", async ({ hasLogin }) => {
  await startBehind("127.0.0.1", hasLogin);
  const headers = ["X-Forwarded-Proto: http", "X-Forwarded-For: 192.0.2.9"];
  for (const door of all) await isRefused(door, { headers }, 403);
});

tests("refused where a browser asks beforehand: a body", async () => {
  await isRefused("preflight", { headers: ["Content-Length: 3"], body: "abc" }, 400);
});

for (const change of [
  { what: "a body", headers: ["Content-Length: 3"] },
  { what: "a target with a host", target: "127.0.0.1:22" },
  { what: "another site", headers: ["Origin: https://evil.example"] },
]) {
  tests(`a tunnel is refused: CONNECT, ${change.what}`, async () => {
    assert.is(statusOf(await ask("tunnel", change)), 405);
  });
}

for (const [what, change, status] of [
  ["GET", { method: "GET" }, 405],
  ["PUT", { method: "PUT" }, 405],
  ["OPTIONS", { method: "OPTIONS" }, 405],
  ["a target with a host", { target: "http://127.0.0.1/login" }, 405],
  ["another site", { headers: ["Sec-Fetch-Site: cross-site"] }, 403],
  ["another site's Origin", { headers: ["Origin: https://evil.example"] }, 403],
  ["the Origin of a page that may use other doors", { headers: [`Origin: ${OTHER}`] }, 403],
  ["Origin null", { headers: ["Origin: null"] }, 403],
] as const) {
  tests(`refused at each door that takes POST: ${what}`, async () => {
    const posts = all.filter((door) => takes(door, "POST"));
    assert.equal(posts, ["login", "logout", "eject", "pull"]);
    for (const door of posts) await isRefused(door, change as Partial<Change>, status);
  });
}

for (const [what, headers, body, status] of [
  ["more than 16 KiB", ["Content-Type: application/json", "Content-Length: 16385"], "", 413],
  ["a length that nobody tells", ["Content-Type: application/json", "Transfer-Encoding: chunked"], "", 411],
  ["what a form sends", ["Content-Type: text/plain", "Content-Length: 2"], "{}", 415],
  ["no type", ["Content-Length: 2"], "{}", 415],
] as const) {
  tests(`a body is refused before it is read: ${what}`, async () => {
    for (const path of ["/login", "/logout", "/pull/one"]) {
      const answer = await exchange(
        port,
        [`POST ${path} HTTP/1.1`, own(), ...linesOf(here.headers), ...headers],
        body,
      );
      assert.is(statusOf(answer), status, answer);
    }
  });
}

tests("a body for a login is refused from 1 KiB on", async () => {
  for (const path of ["/login", "/logout"]) {
    const head = [`POST ${path} HTTP/1.1`, own(), ...linesOf(here.headers)];
    const body = ["Content-Type: application/json", "Content-Length: 1025"];
    assert.is(statusOf(await exchange(port, [...head, ...body])), 413);
  }
});

tests("HTTP/1.0 gets the page and no WebSocket", async () => {
  assert.is(statusOf(await ask("page", { version: "1.0" })), 200);
  assert.is(statusOf(await ask("session", { version: "1.0" })), 400);
});

tests("HEAD is answered as GET is, without the body", async () => {
  for (const door of ["page", "metadata", "status", "metrics"] as const) {
    const answer = await ask(door, { method: "HEAD" });
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\n.*\r\n\r\n$/s);
  }
  assert.is(statusOf(await ask("session", { method: "HEAD" })), 405);
});

tests("405 says what is allowed", async () => {
  assert.match(await ask("page", { method: "POST" }), /\r\nAllow: GET, HEAD\r\n/);
  assert.match(await ask("session", { method: "POST" }), /\r\nAllow: GET\r\n/);
});

for (const site of ["same-origin", "none", "cross-site", "same-site"]) {
  tests(`the address bar and links reach the page: Sec-Fetch-Site: ${site}`, async () => {
    const headers = [`Sec-Fetch-Site: ${site}`, "Sec-Fetch-Dest: document", "Sec-Fetch-Mode: navigate"];
    assert.is(statusOf(await ask("page", { headers })), 200);
  });
}

tests("what makes no WebSocket is refused in words, with a line, and a version that is spoken", async () => {
  for (const [from, to] of [
    [/Version: 13/, "Version: 7"],
    [/Key: .*/, "Key: short"],
    [/Key: .*/, "Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="],
    [/^Upgrade: .*/, "Upgrade: h2c"],
  ] as const) {
    log.length = 0;
    const headers = upgrade.map((line) => line.replace(from, to));
    const answer = await exchange(port, ["GET /one HTTP/1.1", own(), ...linesOf(here.headers), ...headers]);
    assert.match(answer, /^HTTP\/1\.1 400 .*\r\nSec-WebSocket-Version: 13\r\n.*(header)/s, to);
    assert.is(log.length, 1);
    assert.match(log[0]!, /^refused "GET \/one" with 400: /);
  }
});

tests("a WebSocket's path without Upgrade is 426, and the line says what to do", async () => {
  // What a reverse proxy leaves that knows no WebSockets.
  const left = upgrade.filter((line) => !/^(Connection|Upgrade)/.test(line));
  for (const [path, headers] of [
    ["/one", []],
    ["/one?x", []],
    ["/", left],
  ] as const) {
    log.length = 0;
    const answer = await exchange(port, [
      `GET ${path} HTTP/1.1`,
      own(),
      ...linesOf(here.headers),
      ...headers,
      "Connection: close",
    ]);
    assert.match(answer, /^HTTP\/1\.1 426 Upgrade Required\r\n.*\r\nUpgrade: websocket\r\n/s);
    assert.is(log.length, 1);
    assert.match(log[0]!, /^refused "GET .*" with 426: .*a reverse proxy must pass .*Upgrade and Connection/);
  }
});

tests("a refusal is one line with what was asked, cut and quoted, and what to set", async () => {
  const long = "x.".repeat(50);
  await exchange(port, [`GET /${long} HTTP/1.1`, "Host: a.example:1", 'Origin: http://b.example/\u0085"x']);
  assert.equal(log, [
    `refused "GET /${"x.".repeat(29)}x…" with 403: the host name "a.example" is not allowed; if it is yours, add it to "allowed-hosts" (Host "a.example:1", Origin "http://b.example/Â\\u{85}\\"x")`,
  ]);
  log.length = 0;
  const socket = await exchange(port, ["\x16\x03\x01\x02 TLS"]);
  assert.is(statusOf(socket), 400);
  assert.equal(log, [
    "refused a connection with 400: the client speaks TLS, and this port does not: use http:// and ws://",
  ]);
});

tests.run();
