/**
 * The class in one file, called as webui-vue calls its own: what the page of a BMC does with it, and each event. The server has
 * what bmcweb has there: a token as the subprotocol, nbd-proxy as its child on pipes, SIGTERM when the WebSocket ends.
 */
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { copyFile, rename } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import * as assert from "uvu/assert";
import { type WebSocket, WebSocketServer } from "ws";
import { openChromium } from "../browser.ts";
import { needing, type Running, root, Sandbox, suite, until } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { startProxy } from "./link.ts";

const tests = suite("NBDServer in place of that of webui-vue");

const TOKEN = "csrf-token_of.the-session";

/** The longest message that such a relay takes. */
const LONGEST = 131_088;

const page = `<!doctype html>
<input id="file" type="file">
<script type="module" src="page.js"></script>`;

/** A device as in a store of Vue: whatever is reached through it is reached through a Proxy, if it is no object of the browser's. */
const pageScript = `import NbdServer from "./NBDServer.js";

const reactive = (target) =>
  new Proxy(target, {
    get(own, name, receiver) {
      const value = Reflect.get(own, name, receiver);
      return Object.prototype.toString.call(value) === "[object Object]" ? reactive(value) : value;
    },
  });
const device = reactive({ id: "0", path: "/vm/0/0", isActive: false, file: null, nbd: null });
const events = [];
let isAgain = false;

function start(token) {
  device.file = document.getElementById("file").files[0];
  device.nbd = new NbdServer("ws://" + location.host + device.path, device.file, device.id, token);
  device.nbd.socketStarted = () => {
    events.push("started");
    device.isActive = true;
  };
  device.nbd.errorReadingFile = () => events.push("error");
  device.nbd.socketClosed = (code) => {
    events.push("closed " + code);
    device.file = null;
    device.nbd = null;
    device.isActive = false;
    if (isAgain) {
      isAgain = false;
      start(token);
    }
  };
  device.nbd.start();
  // In the same turn: the page shows at once that the device is in use.
  events.push(device.isActive ? "active" : "not active");
}

Object.assign(window, {
  device,
  events,
  start,
  stop: () => device.nbd.stop(),
  startAgainWhenClosed() {
    isAgain = true;
  },
});`;

let sandbox: Sandbox;
let http: Server;
let browser: Browser;
let tab: Page;
let image: string;
let digest: string;
let origin: string;

/** The session of the time, one at most. */
let session: { socket: WebSocket; proxy: Running } | undefined;

tests.before(async () => {
  sandbox = new Sandbox();
  image = sandbox.path("image.iso");
  digest = await randomImage(image, 2_000_001);
  const files: Record<string, [string, string | Buffer]> = {
    "/": ["text/html", page],
    "/page.js": ["text/javascript", pageScript],
    "/NBDServer.js": ["text/javascript", readFileSync(`${root}/dist/browser/NBDServer.js`)],
  };
  http = createServer(({ url = "" }, response) => {
    const [type, content] = files[url] ?? [];
    if (!type) return response.writeHead(404).end();
    response.writeHead(200, { "Content-Type": type }).end(content);
  }).listen(0, "127.0.0.1");
  await once(http, "listening");
  const relay = new WebSocketServer({
    server: http,
    path: "/vm/0/0",
    maxPayload: LONGEST,
    verifyClient: ({ req }: { req: { headers: Record<string, unknown> } }) =>
      req.headers["sec-websocket-protocol"] === TOKEN,
    handleProtocols: () => TOKEN,
  });
  relay.on("connection", begin);
  origin = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
});

function begin(socket: WebSocket): void {
  if (session) {
    socket.close(1000, "Session already connected");
    return;
  }
  const proxy = startProxy(sandbox);
  session = { socket, proxy };
  const { stdin, stdout } = proxy.process;
  stdin!.on("error", () => {});
  socket.on("message", (data) => stdin!.write(data as Buffer));
  stdout!.on("data", (data) => socket.send(data));
  socket.on("close", () => {
    session = undefined;
    proxy.kill();
  });
  proxy.process.on("close", () => socket.close(1000));
}

tests.after(async () => {
  await browser?.close();
  http.close();
  http.closeAllConnections();
  await sandbox.end();
});

const peers = needing(tests, ["chromium", "nbdcopy"]);

/** A page in which the image is chosen. */
async function opened(): Promise<void> {
  browser ??= await openChromium();
  await tab?.close();
  await until("the last session is over", () => !existsSync(socketPath()));
  tab = await browser.newPage();
  await tab.goto(origin);
  await tab.setInputFiles("#file", image);
}

const socketPath = () => sandbox.path("nbd.sock");
const events = () => tab.evaluate<string[]>("events");

async function isClosed(times = 1): Promise<void> {
  await until("it is closed", async () => {
    return (await events()).filter((event) => event.startsWith("closed")).length === times;
  });
}

async function copied(): Promise<string> {
  await until("the disk is there", () => existsSync(socketPath()));
  const copy = sandbox.path("copy");
  await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${socketPath()}`, copy]);
  return sha256(copy);
}

/** Something is done while the image is not where it was. */
async function withoutImage(act: () => Promise<void>): Promise<void> {
  await rename(image, `${image} aside`);
  try {
    await act();
  } finally {
    await rename(`${image} aside`, image);
  }
}

const start = (token: string = TOKEN) => tab.evaluate(`start(${JSON.stringify(token)})`);

peers("started, read, stopped, and started again at once", async () => {
  await opened();
  await start();
  assert.equal(await events(), ["started", "active"]);
  assert.is(await copied(), digest);
  await tab.evaluate("startAgainWhenClosed(); stop()");
  await isClosed();
  assert.equal(await events(), ["started", "active", "closed 1000", "started", "active"]);
  assert.is(await tab.evaluate("device.isActive"), true);
  await until("the disk of before is gone", () => session !== undefined);
  assert.is(await copied(), digest);
  await tab.evaluate("stop()");
  await isClosed(2);
  assert.equal((await events()).slice(3), ["started", "active", "closed 1000"]);
  assert.is(await tab.evaluate("device.nbd"), null);
});

peers("the other machine ejects: nbd-proxy ends in order", async () => {
  await opened();
  await start();
  assert.is(await copied(), digest);
  session!.proxy.kill();
  await isClosed();
  assert.equal(await events(), ["started", "active", "closed 1000"]);
});

for (const code of [1001, 1006]) {
  peers(`the server ends the WebSocket with ${code}`, async () => {
    await opened();
    await start();
    assert.is(await copied(), digest);
    if (code === 1006) session!.socket.terminate();
    else session!.socket.close(code);
    await isClosed();
    assert.equal(await events(), ["started", "active", `closed ${code}`]);
  });
}

peers("a wrong token: closed with 1006, after it was started", async () => {
  for (const token of ["another-token", "no token"]) {
    await opened();
    await start(token);
    await isClosed();
    assert.equal(await events(), ["started", "active", "closed 1006"]);
    assert.is(session, undefined);
  }
});

for (const [what, look] of [
  ["and nothing was asked of it before", "0"],
  ["once the page has shown its size", "document.getElementById('file').files[0].size"],
] as const) {
  peers(`the file is gone before it is started, ${what}: nobody gets a disk`, async () => {
    await opened();
    await tab.evaluate(look);
    await withoutImage(async () => {
      await start();
      await isClosed();
    });
    assert.equal(await events(), ["started", "active", "error", "closed 1006"]);
    assert.is(session, undefined);
  });
}

peers("the file is gone while it is served: that is told once; it goes on when it is back", async () => {
  await opened();
  const own = sandbox.path("own.iso");
  await copyFile(image, own);
  await tab.setInputFiles("#file", own);
  await start();
  await until("the disk is there", () => existsSync(socketPath()));
  await rename(own, `${own} aside`);
  const uri = `nbd+unix:///?socket=${socketPath()}`;
  const read = sandbox.start("nbdcopy", [uri, "null:"]);
  await read.exit;
  assert.equal(await events(), ["started", "active", "error"]);
  await rename(`${own} aside`, own);
  await until("it is served again", async () => (await tab.evaluate("device.nbd.state")) === "serving");
  assert.is(await copied(), digest);
  await tab.evaluate("stop()");
  await isClosed();
  assert.equal(await events(), ["started", "active", "error", "closed 1000"]);
});

peers("a second session, where there is one already, is told that it was closed", async () => {
  await opened();
  await start();
  await until("the disk is there", () => existsSync(socketPath()));
  const other = await browser.newPage();
  await other.goto(origin);
  await other.setInputFiles("#file", image);
  await other.evaluate(`start(${JSON.stringify(TOKEN)})`);
  await until("it is closed", async () => (await other.evaluate<string[]>("events")).length === 3);
  assert.equal(await other.evaluate("events"), ["started", "active", "closed 1000"]);
  assert.is(await copied(), digest);
  await tab.evaluate("stop()");
  await isClosed();
});

peers("the file is an ES module that loads nothing else, and says whose it is", async () => {
  const text = readFileSync(`${root}/dist/browser/NBDServer.js`, "utf8");
  assert.not.match(text, /^\s*import\b|\bimport\(/m);
  assert.match(text.split("\n")[0]!, /SPDX-License-Identifier: Apache-2\.0/);
  const names = await tab.evaluate<string[]>(
    "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname)",
  );
  assert.equal(names.filter((name) => name.endsWith(".js")).sort(), ["/NBDServer.js", "/page.js"]);
  assert.is(await tab.evaluate("import('/NBDServer.js').then((all) => all.default === all.NBDServer)"), true);
});

tests.run();
