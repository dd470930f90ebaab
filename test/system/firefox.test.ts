import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { needing, program, Sandbox, suite, until } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { startFirefox } from "../page/firefox.ts";
import { MediaPage } from "../page/media-page.ts";
import type { Browser } from "../page/tab.ts";

const tests = suite("the page in Firefox");

let sandbox: Sandbox;
let browser: Browser | undefined;

tests.before(() => {
  sandbox = new Sandbox();
});

tests.after(async () => {
  await browser?.close();
  await sandbox.end();
});

const tokenFile = () => sandbox.path("login/token");

for (const [what, size, options] of [
  ["without a login: 50 MB", 50_000_001, () => ["--no-auth"]],
  ["with a login, over plain HTTP", 5_000_003, () => ["--token-file", tokenFile()]],
  [
    "with a login, over TLS with the gateway's own certificate",
    5_000_003,
    () => ["--token-file", tokenFile(), "--tls-self-signed"],
  ],
] as const) {
  needing(tests, ["firefox-esr", "nbdcopy"])(`serves a file ${what}`, async () => {
    const socket = sandbox.path("local.sock");
    const image = sandbox.path("image.img");
    const digest = await randomImage(image, size);
    const config = sandbox.path("config.json");
    const configurations = { local: { listen: `unix:${socket}` } };
    await writeFile(config, JSON.stringify({ configurations, "state-hook": "/nowhere" }));
    const args = ["--config", config, "--port", "0", ...options()];
    const gateway = sandbox.start(program("nbd-gateway"), args);
    await until("the gateway's URL", () => gateway.stdout.endsWith("\n"));
    const url = gateway.stdout.trim();
    const token = existsSync(tokenFile()) ? readFileSync(tokenFile(), "utf8").trim() : undefined;

    browser ??= await startFirefox();
    const page = await MediaPage.open(await browser.newTab(), token === undefined ? url : `${url}#${token}`);
    const card = page.card();
    await card.is("free");
    assert.is(await page.tab.evaluate("location.href"), url, "the token is not in the address bar");
    await card.choose(image);
    await card.is("ready");
    await card.serve();
    await until("the socket is there", () => existsSync(socket));

    const copy = sandbox.path("copy");
    await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${socket}`, copy]);
    assert.is(await sha256(copy), digest);

    await card.stop();
    await until("the socket file is gone", () => !existsSync(socket));
    await until("the gateway says so", () => gateway.stderr.includes("local: ended"));
    if (token !== undefined) {
      const said = gateway.stdout + gateway.stderr;
      assert.not.ok(said.includes(token), "the gateway has not said the token");
      await page.reload();
      await card.is("free");
      await page.logOut();
      await page.isAsked("");
    }
    await page.isQuiet();
    await page.close();
    gateway.kill();
    assert.is(await gateway.exit, 0);
  });
}

tests.run();
