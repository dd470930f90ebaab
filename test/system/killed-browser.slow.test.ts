import { existsSync, readFileSync, statSync } from "node:fs";
import { appendFile, open, readFile, truncate, writeFile } from "node:fs/promises";
import { createConnection } from "node:net";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { type ExportError, nbdClient, socketTransport } from "../../src/node/index.ts";
import { killChromium, openChromium } from "../browser.ts";
import { failure } from "../bytes.ts";
import { needing, program, type Running, Sandbox, suite, until, within } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { openPage } from "../page/open.ts";
import { startWebsocketd } from "../websocketd.ts";

const tests = suite("a browser that goes away, and a file that does");

let sandbox: Sandbox;
let browser: Browser;
let socket: string;
let config: string;

tests.before.each(async () => {
  sandbox = new Sandbox();
  socket = sandbox.path("local.sock");
  config = sandbox.path("config.json");
  const hook = sandbox.path("state");
  await writeFile(hook, `#!/bin/sh\necho "$@" >> ${sandbox.path("hook.log")}\n`, { mode: 0o755 });
  const configurations = { local: { listen: `unix:${socket}` } };
  await writeFile(config, JSON.stringify({ resume: 0, configurations, "state-hook": hook }));
  browser = await openChromium();
});

tests.after.each(async () => {
  await browser.close();
  await sandbox.end();
});

const hookLog = () => {
  const path = sandbox.path("hook.log");
  return existsSync(path) ? readFileSync(path, "utf8") : "";
};

async function startGateway(): Promise<{ gateway: Running; url: string }> {
  const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
  await until("the gateway's URL", () => gateway.stdout.endsWith("\n"));
  return { gateway, url: gateway.stdout.trim() };
}

/** A file that takes long to read, and its page. */
async function servePage(url: string) {
  const image = sandbox.path("long.img");
  await writeFile(image, "");
  await truncate(image, 4 * 2 ** 30);
  const page = await openPage(browser, url, image);
  await page.card().serve();
  await until("the state hook has run", () => hookLog() === "start local\n");
  return page;
}

const uri = () => `nbd+unix:///?socket=${socket}`;

/** Starts to copy, and waits until data comes. */
async function startCopy(): Promise<Running> {
  const target = sandbox.path("partial");
  const copy = sandbox.start("nbdcopy", ["--allocated", uri(), target]);
  await until("data comes", () => existsSync(target) && statSync(target).blocks > 0);
  return copy;
}

needing(tests, ["chromium", "nbdcopy"])("killed in the middle of a copy, behind the gateway", async () => {
  const { gateway, url } = await startGateway();
  await servePage(url);
  const copy = await startCopy();
  await killChromium(browser);
  assert.is(await within(2000, "the end of nbdcopy", copy.exit), 1);
  await until("the socket file is gone", () => !existsSync(socket), 2000);
  // What it sees depends on where the end falls; it is never an end in order.
  const broken = /local: .*(requests unanswered|ended inside a reply|ECONNRESET)/;
  await until("the gateway says so", () => broken.test(gateway.stderr));
  await until("the stop hook has run", () => hookLog() === "start local\nstop local\n");

  browser = await openChromium();
  const image = sandbox.path("next.img");
  const digest = await randomImage(image, 3_000_001);
  const page = await openPage(browser, url, image);
  await page.card().serve();
  await until("the socket is there", () => existsSync(socket));
  await sandbox.run("nbdcopy", [uri(), sandbox.path("copy")]);
  assert.is(await sha256(sandbox.path("copy")), digest);
  await page.card().stop();
});

needing(tests, ["chromium", "nbdcopy", "websocketd"])(
  "killed in the middle of a copy, behind websocketd with its default --closems",
  async () => {
    const relay = await startWebsocketd(sandbox, [
      process.execPath,
      program("nbd-proxy"),
      ...["--config", config, "local"],
    ]);
    await servePage(relay.page);
    const copy = await startCopy();
    await killChromium(browser);
    assert.is(await within(2000, "the end of nbdcopy", copy.exit), 1);
    // SIGKILL, which websocketd sends after 850 ms, would leave it.
    await until("the socket file is gone", () => !existsSync(socket), 2000);
    await until("the stop hook has run", () => hookLog() === "start local\nstop local\n");
  },
);

needing(tests, ["chromium"])("a page that is closed while nothing is outstanding", async () => {
  const { gateway, url } = await startGateway();
  const page = await servePage(url);
  await page.close();
  await until("the gateway says so", () => gateway.stderr.includes("local: ended"));
  assert.not.match(gateway.stderr, /error|unanswered|fail/i);
  assert.not(existsSync(socket));
});

needing(tests, ["chromium", "nbdinfo"])("a file that is changed on disk while it is served", async () => {
  const { gateway, url } = await startGateway();
  const image = sandbox.path("changing.img");
  await randomImage(image, 100_000_000);
  const page = await openPage(browser, url, image);
  await page.card().serve();
  await until("the socket is there", () => existsSync(socket));
  const remote = await nbdClient(socketTransport(createConnection({ path: socket, allowHalfOpen: true })));
  await remote.read(0, 4096);

  // Each time somewhere else, as what was read is kept on both sides.
  let offset = 0;
  const change = [() => appendFile(image, "more"), () => truncate(image, 10)];
  for (const changed of change) {
    await changed();
    await until("a read fails with EIO", () => {
      offset += 1 << 20;
      return remote.read(offset, 4096).then(
        () => false,
        (error: ExportError) => error.errno === 5,
      );
    });
    await page.card().is("unreadable");
    assert.match(await page.card().state(), /[.] Reading \d+ bytes at \d+: the file was changed/);
    assert.is((await sandbox.run("nbdinfo", ["--size", uri()])).trim(), "100000000");
  }
  await remote.close();
  await page.card().stop();
  await until("the gateway says so", () => gateway.stderr.includes("local: ended"));
});

needing(tests, ["chromium"])(
  "a file that is written to while somebody reads on: the bytes are those it had, or EIO",
  async () => {
    const { url } = await startGateway();
    const image = sandbox.path("changing.img");
    await randomImage(image, 100_000_000);
    const before = await readFile(image);
    const page = await openPage(browser, url, image);
    await page.card().serve();
    await until("the socket is there", () => existsSync(socket));
    const remote = await nbdClient(socketTransport(createConnection({ path: socket, allowHalfOpen: true })));
    const length = 1 << 18;
    let read = 0;
    const readOn = async () => {
      const bytes = await remote.read(read, length);
      assert.is(Buffer.compare(before.subarray(read, read + length), bytes), 0, `${read}`);
      read += length;
    };
    while (read < 30_000_000) await readOn();
    const file = await open(image, "r+");
    await file.write(Buffer.alloc(before.byteLength, 1), 0, before.byteLength, 0);
    await file.close();
    const failed = async () => {
      while (read < 90_000_000) await readOn();
    };
    assert.is(((await failure(failed())) as ExportError).errno, 5);
    await remote.close();
  },
);

tests.run();
