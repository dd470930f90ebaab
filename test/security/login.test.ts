/** Who gets in with a login: each door of the gateway, with what must not open it, and with what must. */
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import type { Server } from "node:http";
import { type AddressInfo, createConnection, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { type Check, checks, type Door, doors } from "../../src/node/gateway/admission.ts";
import { refuse } from "../../src/node/gateway/answers.ts";
import { front } from "../../src/node/gateway/front.ts";
import { PageFiles } from "../../src/node/gateway/page-files.ts";
import { Proxies } from "../../src/node/gateway/proxies.ts";
import {
  type Access,
  gateway,
  memoryExport,
  nbdClient,
  nbdServer,
  parseConfig,
  join as pipe,
  socketTransport,
  tokenAccess,
  webSocket,
} from "../../src/node/index.ts";
import { clientProof, gatewayProof, newNonce } from "../../src/node/login/proof.ts";
import { readToken } from "../../src/node/login/token-file.ts";
import { root, suite, until, within } from "../harness.ts";
import { onLookers } from "../node/gateway/on-lookers.ts";
import { exchange, statusOf, upgrade } from "../node/raw-http.ts";

const HOUR = 3600_000;
const OTHER = "https://console.example";

interface Context {
  folder: string;
  /** All that was said. */
  log: string[];
  token: string;
  access: Access;
  clock: { now: number };
  /** How many connections became WebSockets. */
  opened: () => number;
  start(options?: { checks?: readonly Check[]; isSecure?: boolean; proxies?: Proxies }): Promise<number>;
  servers: Server[];
}

const tests = suite<Context>("who is let in with a login");

const type = "text/html";
const page = new PageFiles(
  new Map([["/index.html", { type, representations: [{ bytes: Buffer.from("the page"), etag: '"x"' }] }]]),
);
const configText = JSON.stringify({
  "state-hook": "/nowhere",
  "allowed-origins": [OTHER],
  configurations: { one: { listen: "tcp:127.0.0.1:0" } },
});

tests.before.each((context) => {
  const folder = mkdtempSync(join(tmpdir(), "nbd-proxy-login-"));
  const log: string[] = [];
  const clock = { now: 1_700_000_000_000 };
  const now = () => clock.now;
  const tokenFile = join(folder, "token");
  const access = tokenAccess({ tokenFile, now, wallClock: now, log: (line) => log.push(line) });
  const servers: Server[] = [];
  let opened = 0;
  const start: Context["start"] = async ({ isSecure = false, ...options } = {}) => {
    const config = parseConfig("config.json", configText);
    const server = front({
      ...options,
      access,
      config,
      page,
      maxConnections: 64,
      signal: new AbortController().signal,
      eject: async () => true,
      pull: async () => undefined,
      ...onLookers(config),
      upgrade(_request, socket) {
        opened++;
        refuse(socket, { status: 418, words: "it would be open" });
      },
      log: (line) => log.push(line),
    });
    // Stands in for TLS.
    if (isSecure) server.on("connection", (socket) => Object.assign(socket, { encrypted: true }));
    servers.push(server.listen(0, "127.0.0.1"));
    await once(server, "listening");
    return (server.address() as AddressInfo).port;
  };
  Object.assign(context, { folder, log, clock, access, start, servers, opened: () => opened });
  context.token = readToken(tokenFile);
});

tests.after.each(({ folder, servers, access }) => {
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  access.close();
  rmSync(folder, { recursive: true });
});

const post = ["Content-Type: application/json", "Content-Length: 2", "Connection: close"];

/** The doors that need no login. A door that is added has to stand in one of the two lists. */
const open: readonly Door[] = ["page", "preflight", "login", "tunnel"];

/** How each other door is knocked at, and what is answered behind it. */
const closed: Record<string, { line: string; headers?: string[]; body?: string; behind: number }> = {
  metadata: { line: "GET /metadata", behind: 200 },
  eject: {
    line: "POST /eject/one",
    headers: ["Content-Length: 0", "Connection: close"],
    behind: 204,
  },
  pull: { line: "POST /pull/one", headers: post, body: "{}", behind: 400 },
  logout: { line: "POST /logout", headers: post, body: "{}", behind: 204 },
  status: { line: "GET /status", behind: 200 },
  events: { line: "GET /events", behind: 200 },
  metrics: { line: "GET /metrics", behind: 200 },
  notUpgraded: { line: "GET /one", behind: 426 },
  nothing: { line: "GET /nothing", behind: 404 },
  session: { line: "GET /one", headers: upgrade, behind: 418 },
};

interface Knock {
  what: string;
  headers: string[];
  query?: string;
  host?: string;
  isSecure?: boolean;
  /** What a proxy on this machine says of it. */
  forwarded?: string[];
  /** Left out: it is let in. */
  status?: number;
  words?: RegExp;
}

function knocksAt(door: string, { token, access, clock }: Context, port: number): Knock[] {
  const logIn = () => {
    const answer = access.logIn({ token }, { address: "127.0.0.1", authority: "x" });
    return (answer as { session: string }).session;
  };
  const old = logIn();
  clock.now += 12 * HOUR;
  const ended = logIn();
  access.logOut(ended);
  const session = logIn();
  const other = newNonce();
  const bearer = (secret: string) => `Authorization: Bearer ${secret}`;
  const cookie = `Cookie: a=b; ${access.cookieName}=${session}`;
  const isWebSocket = door === "session";
  const needsOrigin = isWebSocket || ["logout", "eject", "pull"].includes(door);
  const own = needsOrigin ? `Origin: https://127.0.0.1:${port}` : "Sec-Fetch-Site: same-origin";
  const needed = { status: 401, words: /^a login is needed: / };
  const wrong = { status: 401, words: /^the token is not the one of this gateway$/ };
  const over = { status: 401, words: /^the login has ended: log in again$/ };
  const query = { status: 400, words: /^a token does not belong in a URL: / };
  const foreign = { status: 403, words: /^the request comes from another web page$/ };
  const notOwn = { status: 403, words: /^the cookie counts only for / };
  const inClear = {
    status: 403,
    words: /^over plain HTTP the token would travel in the clear: use https:\/\/$/,
  };
  const protocols = (list: string) => [`Sec-WebSocket-Protocol: ${list}`];
  return [
    { what: "no token", headers: [], ...needed },
    { what: "another scheme", headers: [`Authorization: Basic ${token}`], ...needed },
    { what: "an empty token", headers: ["Authorization: Bearer "], ...needed },
    { what: "a wrong token", headers: [bearer("x")], ...wrong },
    { what: "half of the token", headers: [bearer(token.slice(0, 21))], ...wrong },
    { what: "the right token of another gateway", headers: [bearer(other)], ...wrong },
    { what: "the token in a query", headers: [], query: `?token=${token}`, ...query },
    { what: "the token in a query of any name", headers: [], query: `?a=b&x=${token}`, ...query },
    { what: "a token in a query beside the right one", headers: [bearer(token)], query: "?tkn=a", ...query },
    { what: "an expired login", headers: [bearer(old)], ...over },
    { what: "a login that was ended", headers: [bearer(ended)], ...over },
    { what: "a login that never was", headers: [bearer(`s.${other}`)], ...over },
    { what: "a foreign Origin", headers: [bearer(token), "Origin: https://evil.example"], ...foreign },
    { what: "Origin null", headers: [bearer(token), "Origin: null"], ...foreign },
    {
      what: "a rebound Host",
      headers: [bearer(token)],
      host: "evil.example",
      status: 403,
      words: /^this host name is not allowed here/,
    },
    { what: "a cookie over plain HTTP", headers: [cookie, own.replace("https", "http")], ...needed },
    { what: "a cookie without Origin", headers: [cookie], isSecure: true, ...notOwn },
    {
      what: "a cookie of another gateway",
      headers: [`Cookie: __Host-x=${session}`, own],
      isSecure: true,
      ...needed,
    },
    {
      what: "a cookie, from the page of the same host over plain HTTP",
      headers: [cookie, `Origin: http://127.0.0.1:${port}`],
      isSecure: true,
      ...foreign,
    },
    {
      what: "a cookie, from a page that may come with a token",
      headers: [cookie, `Origin: ${OTHER}`],
      isSecure: true,
      ...(doors[door as Door] && "isForOthers" in doors[door as Door] ? notOwn : foreign),
    },
    {
      what: "the token of no WebSocket as a subprotocol",
      headers: isWebSocket ? [] : protocols(token),
      ...needed,
    },
    ...(isWebSocket
      ? [
          { what: "a wrong subprotocol", headers: protocols(`nbd, token.${other}`), ...wrong },
          { what: "a wrong single subprotocol", headers: protocols(other), ...wrong },
          { what: "nbd alone", headers: protocols("nbd"), ...needed },
          { what: "the token unmarked among others", headers: protocols(`nbd, ${token}`), ...needed },
          { what: "the subprotocol", headers: protocols(`nbd, token.${token}`) },
          { what: "the subprotocol with a login", headers: protocols(`nbd, token.${session}`) },
          { what: "OpenBMC's subprotocol", headers: protocols(token) },
        ]
      : []),
    ...("isForOthers" in doors[door as Door]
      ? [{ what: "the page of others, with the token", headers: [bearer(token), `Origin: ${OTHER}`] }]
      : [{ what: "the page of others", headers: [bearer(token), `Origin: ${OTHER}`], ...foreign }]),
    ...(
      [
        ["over plain HTTP at the proxy", ["Proto: http", "For: 192.0.2.9"]],
        ["by a proxy that tells no scheme", ["For: 192.0.2.9"]],
        ["over plain HTTP, from a client that the proxy does not name", ["Proto: http"]],
        [
          "over plain HTTP, from a client that says it were here",
          ["Proto: http", "For: 127.0.0.1, 192.0.2.9"],
        ],
      ] as const
    ).map(([what, lines]) => ({
      what: `the token ${what}`,
      headers: [bearer(token)],
      forwarded: lines.map((line) => `X-Forwarded-${line}`),
      ...inClear,
    })),
    ...(
      [
        ["over https at the proxy", ["Proto: https", "For: 192.0.2.9"]],
        ["over plain HTTP at the proxy, from this machine", ["Proto: http", "For: 127.0.0.1"]],
        ["by a proxy that tells nothing", []],
      ] as const
    ).map(([what, lines]) => ({
      what: `the token ${what}`,
      headers: [bearer(token)],
      forwarded: lines.map((line) => `X-Forwarded-${line}`),
    })),
    { what: "the token", headers: [bearer(token)] },
    { what: "the token, from the own page", headers: [bearer(token), `Origin: http://127.0.0.1:${port}`] },
    { what: "the cookie, from the own page", headers: [cookie, own], isSecure: true },
    // The last one, as at one door it ends.
    { what: "a login", headers: [bearer(session)] },
  ];
}

/** What is wrong with what a door lets in, and keeps out. */
async function faultsAt(door: string, context: Context, list: readonly Check[]): Promise<string[]> {
  const { start, clock, log, opened } = context;
  const ports = {
    plain: await start({ checks: list }),
    secure: await start({ checks: list, isSecure: true }),
    behind: await start({ checks: list, proxies: new Proxies(["127.0.0.1"]) }),
  };
  const faults: string[] = [];
  // A gateway's port stands in its own page's Origin.
  for (const [kind, port] of Object.entries(ports)) {
    for (const knock of knocksAt(door, context, port)) {
      if ((knock.forwarded ? "behind" : knock.isSecure ? "secure" : "plain") !== kind) continue;
      clock.now += 61_000; // the number of wrong tokens is another test's
      const { line, headers = ["Connection: close"], body, behind } = closed[door]!;
      const before = opened();
      const answer = await exchange(
        port,
        [
          `${line}${knock.query ?? ""} HTTP/1.1`,
          `Host: ${knock.host ?? `127.0.0.1:${port}`}`,
          ...headers,
          ...knock.headers,
          ...(knock.forwarded ?? []),
        ],
        body,
      );
      const { status = behind, words } = knock;
      const [, said = ""] = /\r\n\r\n(.*?)\n?$/s.exec(answer) ?? [];
      const fault = (what: string) => faults.push(`${door}, ${knock.what}: ${what}`);
      if (statusOf(answer) !== status) fault(`${statusOf(answer)} for ${status}`);
      else if (words && !words.test(said)) fault(said);
      if (words && opened() > before) fault("a WebSocket was opened");
      if (status === 401 && !/\r\nWWW-Authenticate: Bearer\r\n/.test(answer)) fault("it says no scheme");
      if (words && /one\b.*listen|tcp:/.test(answer)) fault("it tells what there is");
    }
  }
  const { token } = context;
  const secrets = [
    token,
    ...(readFileSync(join(context.folder, "token"), "utf8").match(/[\w-]{20,}/g) ?? []),
  ];
  for (const secret of secrets) {
    if (log.some((line) => line.includes(secret) || line.includes(secret.slice(0, 21))))
      faults.push(`${door}: the log has the token`);
  }
  if (log.some((line) => /[\w-]{43}/.test(line))) faults.push(`${door}: the log has a credential`);
  return faults;
}

tests("each door is in the table, or open to all", () => {
  assert.equal([...open, ...Object.keys(closed)].sort(), Object.keys(doors).sort());
  const isOpen = (door: Door) => "isPublic" in doors[door] || doors[door].methods.length === 0;
  assert.equal((Object.keys(doors) as Door[]).filter(isOpen).sort(), [...open].sort());
});

/** Paths that the gateway's own code names, and others that servers often have. */
function paths(): string[] {
  const folder = join(root, "src/node/gateway");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  const texts = files.map((name) => readFileSync(join(folder, name), "utf8"));
  const named = texts.flatMap((text) => [...text.matchAll(/["'`](\/[\w./-]*)/g)].map(([, path]) => path!));
  const others = ["/", "/index.html", "/one", "/status", "/events", "/metrics", "/health", "/debug", "/x/y"];
  return [...new Set([...named, ...others])];
}

tests("nothing is answered past the doors: not by any path, method, or kind of request", async (context) => {
  const { start, opened } = context;
  const seen = new Set<Door>();
  const none: Check = (_visit, door) => {
    seen.add(door);
    return { status: 403, words: "no door is open" };
  };
  const port = await start({ checks: [none] });
  const known = paths();
  assert.ok(known.includes("/metadata") && known.includes("/login"), "they are found");
  for (const path of known) {
    for (const method of ["GET", "HEAD", "POST", "PUT", "OPTIONS", "CONNECT", "UPGRADE"]) {
      const isUpgrade = method === "UPGRADE";
      const line = `${isUpgrade ? "GET" : method} ${path} HTTP/1.1`;
      const headers = isUpgrade ? upgrade : ["Connection: close"];
      const answer = await exchange(port, [line, `Host: 127.0.0.1:${port}`, ...headers]);
      assert.is(statusOf(answer), 403, line);
      if (method !== "HEAD") assert.match(answer, /\r\n\r\nno door is open\n?$/, line);
    }
  }
  assert.is(opened(), 0);
  for (const door of ["page", "metadata", "login", "logout", "session", "tunnel"] as const)
    assert.ok(seen.has(door), door);
});

for (const door of Object.keys(closed)) {
  tests(`${door}: what must not get in does not, and what may does`, async (context) => {
    assert.equal(await faultsAt(door, context, checks), []);
    assert.ok(context.log.length > 10, "refusals are in the log");
  });
}

for (const [name, knock] of [
  ["who", "no token"],
  ["exposure", "the token over plain HTTP at the proxy"],
  ["query", "the token in a query"],
  ["hostAndOrigin", "a foreign Origin"],
] as const) {
  for (const door of Object.keys(closed)) {
    tests(`${door}: the table notices that the check ${name} is missing there`, async (context) => {
      const check = checks.find((one) => one.name === name)!;
      const without: Check = (visit, at, rules) => (at === door ? undefined : check(visit, at, rules));
      const mutated = checks.map((one) => (one === check ? without : one));
      const faults = await faultsAt(door, context, mutated);
      assert.ok(
        faults.some((fault) => fault.startsWith(`${door}, ${knock}: `)),
        "it notices",
      );
    });
  }
}

tests(
  "over plain HTTP at the proxy no door is open, so that nobody gives the token there",
  async (context) => {
    const { start, token, log } = context;
    const port = await start({ proxies: new Proxies(["127.0.0.1"]) });
    const body = JSON.stringify({ token });
    const json = ["Content-Type: application/json", `Content-Length: ${body.length}`];
    const ask = (line: string, proto: string, headers: string[] = [], sent?: string) => {
      const forwarded = [`X-Forwarded-Proto: ${proto}`, "X-Forwarded-For: 192.0.2.9"];
      const head = [`Host: 127.0.0.1:${port}`, "Connection: close"];
      return exchange(port, [`${line} HTTP/1.1`, ...head, ...forwarded, ...headers], sent);
    };
    for (const [line, headers, sent] of [
      ["GET /", [], undefined],
      ["POST /login", json, body],
    ] as const) {
      const refused = await ask(line, "http", [...headers], sent);
      assert.is(statusOf(refused), 403, line);
      assert.match(refused, /\r\n\r\nover plain HTTP the token would travel in the clear: use https:/);
      assert.ok(statusOf(await ask(line, "https", [...headers], sent))! < 300, line);
    }
    assert.is(log.length, 2);
    assert.match(
      log[0]!,
      /192\.0\.2\.9 came over https, .*: have the proxy redirect http:\/\/ to https:\/\//,
    );
  },
);

tests("the page's files are public", async ({ start }) => {
  const port = await start();
  const answer = await exchange(port, ["GET / HTTP/1.1", `Host: 127.0.0.1:${port}`, "Connection: close"]);
  assert.is(statusOf(answer), 200);
  assert.match(answer, /the page$/);
});

async function send(port: number, path: string, body: unknown, ...headers: string[]): Promise<string> {
  const text = JSON.stringify(body);
  const head = [`Host: 127.0.0.1:${port}`, "Content-Type: application/json", "Connection: close"];
  const lines = [`POST ${path} HTTP/1.1`, ...head, `Content-Length: ${text.length}`, ...headers];
  return exchange(port, lines, text);
}
const bodyOf = (answer: string) => JSON.parse(/\r\n\r\n(.*)$/s.exec(answer)![1]!) as Record<string, string>;

tests("the token makes a login, over TLS as a cookie", async ({ start, token, access, log }) => {
  const port = await start();
  const answer = await send(port, "/login", { token });
  assert.is(statusOf(answer), 200);
  const { session } = bodyOf(answer);
  assert.match(session!, /^s\.[\w-]{43}$/);
  assert.not.match(answer, /Set-Cookie/i);
  assert.is(access.judge(session!, "::1"), "right");

  const secure = await start({ isSecure: true });
  const inCookie = await send(secure, "/login", { token }, `Origin: https://127.0.0.1:${secure}`);
  assert.is(statusOf(inCookie), 204);
  const form =
    /\r\nSet-Cookie: (__Host-nbd-proxy-[\da-f]{8})=(s\.[\w-]{43}); Path=\/; Secure; HttpOnly; SameSite=Strict\r\n/;
  const [, name, id] = form.exec(inCookie)!;
  const headers = [`Cookie: ${name}=${id}`, `Origin: https://127.0.0.1:${secure}`];
  const out = await send(secure, "/logout", {}, ...headers);
  assert.is(statusOf(out), 204);
  assert.match(out, new RegExp(`\\r\\nSet-Cookie: ${name}=; [^\\r]*Max-Age=0\\r\\n`));
  assert.is(access.judge(id!, "::1"), "wrong");
  assert.equal(log, []);
});

for (const [what, body, status] of [
  ["a wrong token", { token: newNonce() }, 401],
  ["an empty token", { token: "" }, 401],
  ["the id of a login", { token: `s.${newNonce()}` }, 401],
  ["nothing", {}, 400],
  ["null", null, 400],
  ["a list", [], 400],
  ["a number", { token: 1 }, 400],
  ["more than a token", { token: "x", more: 1 }, 400],
  ["another role", { role: "page", nonce: newNonce() }, 400],
  ["a short nonce", { role: "nbd-serve", nonce: "x" }, 400],
  ["half a proof", { role: "nbd-serve", nonce: newNonce(), gatewayNonce: newNonce() }, 400],
  ["__proto__", JSON.parse('{"__proto__":{"token":"x"}}'), 400],
] as const) {
  tests(`no login: ${what}`, async ({ start, log }) => {
    const answer = await send(await start(), "/login", body);
    assert.is(statusOf(answer), status);
    assert.type(bodyOf(answer).error, "string");
    assert.is(log.length, 1);
    assert.match(log[0]!, new RegExp(`^refused "POST /login" with ${status}: `));
  });
}

tests("both sides prove that they have the token, once, soon, and for this host", async (context) => {
  const { start, token, access, clock } = context;
  const port = await start();
  const authority = `127.0.0.1:${port}`;
  const greet = async (nonce: string) => {
    const answer = bodyOf(await send(port, "/login", { role: "nbd-serve", nonce }));
    const gatewayNonce = answer.nonce!;
    assert.is(answer.proof, gatewayProof(token, { authority, nonce, gatewayNonce }));
    return gatewayNonce;
  };
  const prove = async (nonce: string, gatewayNonce: string, subject = {}, by = token) => {
    const proof = clientProof(by, { authority, nonce, gatewayNonce, ...subject });
    return send(port, "/login", { role: "nbd-serve", nonce, gatewayNonce, proof });
  };
  const nonce = newNonce();
  const first = await greet(nonce);
  const answer = await prove(nonce, first);
  assert.is(statusOf(answer), 200);
  assert.is(access.judge(bodyOf(answer).session!, "::1"), "right");
  assert.not.ok(answer.includes(token));
  assert.is(statusOf(await prove(nonce, first)), 401, "a second time");
  assert.is(statusOf(await prove(newNonce(), await greet(nonce))), 401, "another nonce");
  assert.is(statusOf(await prove(nonce, newNonce())), 401, "a nonce that is not the gateway's");
  assert.is(statusOf(await prove(nonce, await greet(nonce), {}, newNonce())), 401, "another token");
  assert.is(statusOf(await prove(nonce, await greet(nonce), { authority: "x" })), 401, "another host");
  const late = await greet(nonce);
  clock.now += 10_000;
  assert.is(statusOf(await prove(nonce, late)), 401, "too late");
  const own = await greet(nonce);
  const proof = gatewayProof(token, { authority, nonce, gatewayNonce: own });
  const back = await send(port, "/login", { role: "nbd-serve", nonce, gatewayNonce: own, proof });
  assert.is(statusOf(back), 401, "the gateway's own proof");
});

tests(
  "over plain HTTP a proof is for this address: nobody at another one can pass it on",
  async ({ start }) => {
    const port = await start();
    const body = JSON.stringify({ role: "nbd-serve", nonce: newNonce() });
    for (const host of [`127.0.0.1:${port + 1}`, `[::1]:${port}`, `localhost:${port}`, "127.0.0.1"]) {
      const head = [
        "POST /login HTTP/1.1",
        `Host: ${host}`,
        "Content-Type: application/json",
        "Connection: close",
      ];
      const answer = await exchange(port, [...head, `Content-Length: ${body.length}`], body);
      assert.is(statusOf(answer), 403, host);
      assert.match(bodyOf(answer).error!, /has another host or port/);
    }
  },
);

tests("wrong tokens are limited, at all doors together; the right one always passes", async (context) => {
  const { start, token, clock } = context;
  const port = await start();
  const ask = (secret: string) =>
    exchange(port, [
      "GET /metadata HTTP/1.1",
      `Host: 127.0.0.1:${port}`,
      `Authorization: Bearer ${secret}`,
      "Connection: close",
    ]);
  for (let i = 0; i < 5; i++) {
    assert.is(statusOf(await ask("x")), 401);
    assert.is(statusOf(await send(port, "/login", { token: "x" })), 401);
  }
  const limited = await ask("x");
  assert.is(statusOf(limited), 429);
  assert.match(limited, /\r\nRetry-After: 60\r\n/);
  assert.is(statusOf(await send(port, "/login", { token: newNonce() })), 429);
  assert.is(statusOf(await ask(token)), 200);
  assert.is(statusOf(await send(port, "/login", { token })), 200);
  clock.now += 60_000;
  assert.is(statusOf(await ask("x")), 401);
});

tests("pages of allowed origins may ask, and read what is answered", async ({ start, token }) => {
  const port = await start();
  const ask = (line: string, ...headers: string[]) =>
    exchange(port, [`${line} HTTP/1.1`, `Host: 127.0.0.1:${port}`, "Connection: close", ...headers]);
  const preflight = ["Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"];
  const may = await ask("OPTIONS /metadata", `Origin: ${OTHER}`, ...preflight, "Sec-Fetch-Site: cross-site");
  assert.is(statusOf(may), 204);
  assert.match(may, /\r\nAccess-Control-Allow-Origin: https:\/\/console\.example\r\n/);
  assert.match(may, /\r\nAccess-Control-Allow-Headers: Authorization\r\n/);
  assert.not.match(may, /Allow-Credentials|Content-Length/);
  const answer = await ask(
    "GET /metadata",
    `Origin: ${OTHER}`,
    "Sec-Fetch-Site: cross-site",
    `Authorization: Bearer ${token}`,
  );
  assert.is(statusOf(answer), 200);
  assert.match(answer, /\r\nAccess-Control-Allow-Origin: https:\/\/console\.example\r\n/);
  const without = await ask("GET /metadata", `Origin: ${OTHER}`);
  assert.is(statusOf(without), 401);
  assert.match(without, /\r\nAccess-Control-Allow-Origin: https:\/\/console\.example\r\n/);
  for (const [line, origin] of [
    ["OPTIONS /metadata", "https://evil.example"],
    ["OPTIONS /metadata", "https://console.example:444"],
    ["OPTIONS /metadata", "https://a.console.example"],
    ["OPTIONS /metadata", "null"],
    ["OPTIONS /login", OTHER],
    ["OPTIONS /one", OTHER],
    ["OPTIONS /", OTHER],
  ] as const) {
    const refused = await ask(line, `Origin: ${origin}`, ...preflight);
    assert.is(statusOf(refused), 405, `${line} ${origin}`);
    assert.not.match(refused, /Access-Control/);
  }
});

tests("without a login there is room for 32 connections, and the oldest goes first", async (context) => {
  const { start, token } = context;
  const port = await start();
  const head = [`Host: 127.0.0.1:${port}`, `Authorization: Bearer ${token}`];
  const agent = await connect(port);
  agent.write(`GET /metadata HTTP/1.1\r\n${head.join("\r\n")}\r\n\r\n`);
  await once(agent, "data");
  const strangers: Socket[] = [];
  for (let i = 0; i < 33; i++) strangers.push(await connect(port));
  await until("the oldest is gone", () => strangers[0]!.destroyed);
  strangers[1]!.write("x");
  assert.is(strangers.slice(1).filter(({ destroyed }) => destroyed).length, 0);
  assert.not.ok(agent.destroyed, "the one that has shown the token stays");
  for (const socket of [agent, ...strangers]) socket.destroy();
});

async function connect(port: number): Promise<Socket> {
  const socket = createConnection(port, "127.0.0.1");
  socket.on("error", () => {});
  socket.resume();
  await once(socket, "connect");
  return socket;
}

tests("a session that is let in goes on while all else is refused", async (context) => {
  const { access, token, folder, log } = context;
  const socket = join(folder, "one.sock");
  const configurations = { one: { listen: `unix:${socket}` } };
  const running = await gateway({
    config: parseConfig("config.json", JSON.stringify({ "state-hook": "/nowhere", configurations })),
    port: 0,
    staticFolder: join(root, "web"),
    access,
    log: (line) => log.push(line),
  });
  try {
    const { session } = access.logIn({ token }, { address: "::1", authority: "" }) as { session: string };
    const client = new WebSocket(running.url.replace("http", "ws"), ["nbd", `token.${session}`]);
    const image = Uint8Array.from({ length: 100_001 }, (_, i) => (i * 7) & 0xff);
    const server = nbdServer(memoryExport(image, { readOnly: true }));
    pipe(webSocket(client), server).catch(() => {});
    await until("the session is there", () => existsSync(socket));
    const remote = await nbdClient(socketTransport(createConnection({ path: socket, allowHalfOpen: true })));
    const port = Number(new URL(running.url).port);
    for (const [door, { line, headers = ["Connection: close"], body }] of Object.entries(closed)) {
      for (const knock of knocksAt(door, context, port)) {
        if (!knock.words || knock.isSecure || knock.forwarded) continue;
        context.clock.now += 61_000;
        const own = knock.host ?? `127.0.0.1:${port}`;
        const head = [`${line}${knock.query ?? ""} HTTP/1.1`, `Host: ${own}`, ...headers, ...knock.headers];
        assert.is(statusOf(await exchange(port, head, body)), knock.status, `${door}, ${knock.what}`);
      }
      assert.equal(await remote.read(0, image.byteLength), image);
    }
    context.clock.now += 61_000;
    for (let i = 0; i < 30; i++) {
      const headers = [...upgrade, `Authorization: Bearer ${newNonce()}`];
      const answer = await exchange(port, ["GET /one HTTP/1.1", `Host: 127.0.0.1:${port}`, ...headers]);
      assert.is(statusOf(answer), i < 10 ? 401 : 429);
    }
    // It has expired meanwhile, were it not in use.
    context.clock.now += 20 * HOUR;
    assert.equal(await remote.read(0, image.byteLength), image);
    assert.is(access.judge(session, "::1"), "right");
    await remote.close();
  } finally {
    await running.close();
  }
  assert.ok(log.length > 10);
  assert.not.ok(log.some((line) => line.includes(token) || /[\w-]{43}/.test(line)));
});

tests("a WebSocket gets nbd as its subprotocol, or OpenBMC's token", async (context) => {
  const { access, token, folder, log } = context;
  const configurations = { one: { listen: `unix:${join(folder, "one.sock")}` } };
  const running = await gateway({
    config: parseConfig("config.json", JSON.stringify({ "state-hook": "/nowhere", configurations })),
    port: 0,
    staticFolder: join(root, "web"),
    access,
    log: (line) => log.push(line),
  });
  try {
    const url = running.url.replace("http", "ws");
    for (const [offered, answered] of [
      [["nbd", `token.${token}`], "nbd"],
      [["take-over", `token.${token}`, "nbd"], "nbd"],
      [[token], token],
    ] as const) {
      const client = new WebSocket(url, [...offered]);
      await once(client, "open");
      assert.is(client.protocol, answered);
      client.terminate();
    }
    const refused = new WebSocket(url, ["nbd", `token.${newNonce()}`]);
    const [error] = await within(10_000, "the refusal", once(refused, "error"));
    assert.match((error as Error).message, /401/);
  } finally {
    await running.close();
  }
  assert.not.ok(log.some((line) => line.includes(token)));
});

tests.run();
