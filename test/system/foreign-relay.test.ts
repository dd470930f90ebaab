import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../browser.ts";
import { needing, program, Sandbox, suite, until } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { type ChromiumPage, openPage } from "../page/open.ts";
import { startWebsocketd, type Websocketd } from "../websocketd.ts";
import { expectCan, mapOf, READING } from "./nbdinfo.ts";

/*
 * The server, in Chromium and in nbd-serve, behind a relay that has none of our code: what stock clients say
 * reaches it as it is. socat takes one client per connection, so that each starts a session of its own.
 */
const tests = suite("a relay that has none of our code");

/** A multiple of 512: nbdkit's clients and qemu-img see the same size. */
const SIZE = 6_000_128;

let sandbox: Sandbox;
let relay: Websocketd;
let browser: Browser | undefined;
let page: ChromiumPage;
let image: string;
let digest: string;

tests.before(async () => {
  sandbox = new Sandbox();
  image = sandbox.path("image.img");
  digest = await randomImage(image, SIZE);
});

tests.after(async () => {
  await browser?.close();
  await sandbox.end();
});

const peers = needing(tests, [
  "chromium",
  "nbdcopy",
  "nbdkit",
  "nbd-client",
  "qemu-img",
  "socat",
  "websocketd",
]);

peers("websocketd with socat", async () => {
  const command = sandbox.path("relay");
  await writeFile(command, `#!/bin/sh\nexec socat - UNIX-LISTEN:${sandbox.folder}/$REMOTE_PORT.sock\n`, {
    mode: 0o755,
  });
  relay = await startWebsocketd(sandbox, [command]);
});

const sockets = () => readdirSync(sandbox.folder).filter((name) => name.endsWith(".sock"));

/** Begins a session and returns the path of the socket that its client finds the server on. */
async function begin(connect: () => Promise<void> | void): Promise<string> {
  await until("the last session is over", () => sockets().length === 0);
  await connect();
  await until("socat listens", () => sockets().length === 1);
  return sandbox.path(sockets()[0]!);
}

/* websocketd may lose the client's goodbye. Neither server tries to have its link again then: socat would listen again. */

function nbdServe() {
  const origin = new URL(relay.page).origin;
  sandbox.start(program("nbd-serve"), ["--retry", "0", "--origin", origin, image, relay.endpoint]);
}

async function chromium() {
  if (!browser) {
    browser = await openChromium();
    page = await openPage(browser, relay.page, image);
    await page.tab.run("document.querySelector('nbd-media').retry = 0");
  }
  await until("the page can serve", () => page.card().isEnabled("serve"));
  await page.card().click("serve");
}

for (const [name, connect] of Object.entries({ chromium, "nbd-serve": nbdServe })) {
  const client = async (command: string, ...args: string[]) => {
    const socket = await begin(connect);
    const uri = `nbd+unix:///?socket=${socket}`;
    const filled = args.map((arg) => arg.replace("URI", uri).replace("SOCKET", socket));
    return sandbox.run(command, filled);
  };

  peers(`${name}: nbdinfo --json`, async () => {
    const { exports } = JSON.parse(await client("nbdinfo", "--json", "URI"));
    assert.is(exports.length, 1);
    assert.is(exports[0]["export-size"], SIZE);
    assert.is(exports[0].is_read_only, true);
  });

  peers(`${name}: nbdinfo --list`, async () => {
    const { exports } = JSON.parse(await client("nbdinfo", "--list", "--no-content", "--json", "URI"));
    assert.ok(exports.some((found: Record<string, unknown>) => found["export-name"] === "image.img"));
  });

  peers(`${name}: nbdinfo --map`, async () => {
    const map = await mapOf(sandbox, async () => [`nbd+unix:///?socket=${await begin(connect)}`]);
    assert.equal(map, [[0, SIZE, 0]]);
  });

  peers(`${name}: nbdinfo --can, for each capability`, async () => {
    const session = async () => [`nbd+unix:///?socket=${await begin(connect)}`];
    // There is nobody to connect a second time to.
    await expectCan(
      sandbox,
      session,
      READING.filter((capability) => capability !== "multi-conn"),
    );
  });

  peers(`${name}: nbd-client -l`, async () => {
    assert.match(await client("nbd-client", "-l", "-u", "SOCKET"), /^image\.img$/m);
  });

  peers(`${name}: nbdcopy`, async () => {
    const copy = sandbox.path(`${name}.nbdcopy`);
    await client("nbdcopy", "URI", copy);
    assert.is(await sha256(copy), digest);
  });

  peers(`${name}: qemu-img info, compare and convert`, async () => {
    const info = JSON.parse(await client("qemu-img", "info", "--output=json", "URI"));
    assert.is(info["virtual-size"], SIZE);
    assert.match(
      await client("qemu-img", "compare", "-f", "raw", "-F", "raw", "URI", image),
      /Images are identical/,
    );
    const copy = sandbox.path(`${name}.qemu`);
    await client("qemu-img", "convert", "-f", "raw", "-O", "raw", "URI", copy);
    assert.is(await sha256(copy), digest);
  });

  peers(`${name}: nbdkit's nbd plugin on top`, async () => {
    const copy = sandbox.path(`${name}.nbdkit`);
    await client("nbdkit", "-U", "-", "nbd", "socket=SOCKET", "--run", `nbdcopy "$uri" ${copy}`);
    assert.is(await sha256(copy), digest);
  });
}

tests.run();
