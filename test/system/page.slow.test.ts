import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../browser.ts";
import { needing, program, type Running, root, Sandbox, suite, until, within } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { openPage } from "../page/open.ts";
import { startWebsocketd } from "../websocketd.ts";
import { expectCan, mapOf, READING } from "./nbdinfo.ts";

const tests = suite("the page in Chromium");

/** No multiple of 512, and more than one window of requests. */
const SIZE = 300_000_007;

let browser: Browser;
let sandbox: Sandbox;
let image: string;
let digest: string;

tests.before(async () => {
  sandbox = new Sandbox();
  image = sandbox.path("image.iso");
  digest = await randomImage(image, SIZE);
});
tests.after(async () => {
  await browser?.close();
  await sandbox.end();
});

async function chromium(): Promise<Browser> {
  browser ??= await openChromium();
  return browser;
}

async function copy(socket: string): Promise<string> {
  const target = sandbox.path("copy");
  // The page serves from the handshake on; the other side listens a moment later.
  await until(`${socket} is there`, () => existsSync(socket));
  await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${socket}`, target]);
  return sha256(target);
}

async function configuration(): Promise<{ config: string; socket: string }> {
  const socket = sandbox.path("local.sock");
  const config = sandbox.path("config.json");
  await writeFile(
    config,
    JSON.stringify({ configurations: { local: { listen: `unix:${socket}` } }, "state-hook": "/nowhere" }),
  );
  return { config, socket };
}

const proxyCommand = (config: string) => [
  process.execPath,
  program("nbd-proxy"),
  "--config",
  config,
  "local",
];

needing(tests, ["chromium", "nbdcopy"])("npm start, a file of 300,000,007 bytes, nbdcopy", async () => {
  // Where the service manager has it: the folder of the user is for the user.
  const gateway = sandbox.start("npm", ["start"], {
    cwd: root,
    env: { RUNTIME_DIRECTORY: sandbox.path("run") },
  });
  try {
    await withGateway(gateway);
  } finally {
    // To npm, which hands it on to the gateway.
    gateway.kill("SIGTERM");
  }
  assert.is(await within(5000, "the gateway's end", gateway.exit), 0, gateway.stderr);
  assert.match(gateway.stderr, /nbd-gateway: local: ended/);
});

async function withGateway(gateway: Running) {
  await until("npm start prints a URL", () => /http:\S+/.test(gateway.stdout));
  const url = gateway.stdout.match(/http:\S+/)![0];
  assert.is(url, "http://127.0.0.1:8000/");

  // No terminal reads the URL, so the token is not in it.
  const token = readFileSync(sandbox.path("token"), "utf8").trim();
  const page = await openPage(await chromium(), `${url}#${token}`, image);
  const socket = sandbox.path("run/nbd.sock");
  await page.card().serve();
  assert.is(await copy(socket), digest);
  await page.card().shows("covered-text", /^100 ?%, 286(\.1)? MiB of 286(\.1)? MiB$/);

  await page.card().stop();
  await until("the socket file is gone", () => !existsSync(socket));
  await page.close();
}

needing(tests, ["chromium", "nbdcopy", "nbdinfo", "websocketd"])(
  "websocketd with nbd-proxy and the page as static files",
  async () => {
    const { config, socket } = await configuration();
    const relay = await startWebsocketd(sandbox, proxyCommand(config));
    const page = await openPage(await chromium(), relay.page, image);
    // This relay runs one configuration, and there is nothing to choose.
    assert.is((await page.cards()).length, 1);
    await page.card().serve();
    assert.is(await copy(socket), digest);
    await expectInformation([`nbd+unix:///?socket=${socket}`]);
    await page.card().stop();
    await until("the socket file is gone", () => !existsSync(socket));
    await page.close();
    relay.kill();
    await relay.exit;
  },
);

/** What nbdinfo tells of the browser's server, through the proxy. */
async function expectInformation(where: readonly string[]) {
  for (const list of [[], ["--list"]]) {
    const { protocol, exports } = JSON.parse(await sandbox.run("nbdinfo", ["--json", ...list, ...where]));
    assert.is(protocol, "newstyle-fixed");
    assert.is(exports.length, 1);
    assert.is(exports[0]["export-name"], "image.iso");
    assert.is(exports[0]["export-size"], SIZE);
  }
  assert.equal(await mapOf(sandbox, () => where), [[0, SIZE, 0]]);
  await expectCan(sandbox, () => where, [...READING, "cache"]);
}

needing(tests, ["nbdcopy", "websocketd"])("nbd-serve with --origin through websocketd", async () => {
  const { config, socket } = await configuration();
  const relay = await startWebsocketd(sandbox, proxyCommand(config));
  const small = sandbox.path("small.img");
  const smallDigest = await randomImage(small, 5_000_003);

  const refused = sandbox.start(program("nbd-serve"), [small, relay.endpoint]);
  assert.is(await within(10_000, "nbd-serve without an origin", refused.exit), 1);
  assert.match(refused.stderr, /403/);

  const origin = new URL(relay.page).origin;
  const server = sandbox.start(program("nbd-serve"), ["--origin", origin, small, relay.endpoint]);
  assert.is(await copy(socket), smallDigest);
  server.kill();
  assert.is(await within(5000, "the end of nbd-serve", server.exit), 0, server.stderr);
  await until("the socket file is gone", () => !existsSync(socket));
  relay.kill();
  await relay.exit;
});

tests.run();
