import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../browser.ts";
import { needing, program, Sandbox, suite, until } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { HOST, locationOf, startNginx } from "../nginx.ts";
import { openPage } from "../page/open.ts";

/* The gateway under a path of a reverse proxy, beside whatever else the proxy serves. */
const tests = suite("the page behind a reverse proxy");

let sandbox: Sandbox;
let browser: Browser | undefined;
let image: string;
let digest: string;
let gateway: string;

tests.before(async () => {
  sandbox = new Sandbox();
  image = sandbox.path("image.iso");
  digest = await randomImage(image, 5_000_003);
  const config = sandbox.path("config.json");
  const configurations = {
    first: { listen: `unix:${sandbox.path("first.sock")}`, default: true },
    "ü &=+.": { listen: `unix:${sandbox.path("second.sock")}`, metadata: { description: "The second" } },
  };
  await writeFile(config, JSON.stringify({ configurations, "state-hook": "/nowhere" }));
  const running = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
  await until("the gateway's URL", () => running.stdout.endsWith("\n"));
  gateway = running.stdout.trim();
});

tests.after(async () => {
  await browser?.close();
  await sandbox.end();
});

const nginx = needing(tests, ["chromium", "nbdcopy", "nginx"]);

nginx("finds the configurations and serves each of them", async () => {
  browser ??= await openChromium();
  const page = await openPage(browser, await startNginx(sandbox, locationOf(gateway)), image);
  await until("the configurations", async () => (await page.cards()).length === 2);
  for (const [name, file] of [
    ["first", "first.sock"],
    ["ü &=+.", "second.sock"],
  ] as const) {
    const card = page.card(name);
    await card.choose(image);
    await card.serve();
    const socket = sandbox.path(file);
    await until(`${socket} is there`, () => existsSync(socket));
    const copy = sandbox.path("copy");
    await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${socket}`, copy]);
    assert.is(await sha256(copy), digest, name);
    await card.stop();
    await until(`${socket} is gone`, () => !existsSync(socket));
  }
  await page.close();
});

nginx("says so where the proxy hands on no WebSocket", async () => {
  browser ??= await openChromium();
  const page = await openPage(browser, await startNginx(sandbox, locationOf(gateway, [HOST])), image);
  await page.card().click("serve");
  await page.card().says(/^Refused\. .*426.*must pass on Upgrade, Connection and Host/);
  await page.close();
});

nginx("says so where its scripts are refused, as the proxy does not hand on Host", async () => {
  browser ??= await openChromium();
  const page = await openPage(browser, await startNginx(sandbox, locationOf(gateway, [])));
  assert.equal(await page.cards(), []);
  const late = page.tab.page.locator("#late");
  await until("the page says so", async () => (await late.boundingBox())!.height > 0);
  assert.match(await late.innerText(), /has not started\. Reload/);
  await page.close();
});

tests.run();
