import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { type Browser, launch } from "puppeteer-core";
import * as assert from "uvu/assert";
import { needing, program, Sandbox, suite, until } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";

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

    browser ??= await launch({
      browser: "firefox",
      executablePath: "/usr/bin/firefox-esr",
      headless: true,
      acceptInsecureCerts: true,
    });
    const page = await browser.newPage();
    await page.goto(token === undefined ? url : `${url}#${token}`);
    const state = () => page.$eval("#state", (element) => element.textContent ?? "");
    await until("it is logged in, where it has to be", async () => (await state()) === "No file chosen");
    assert.is(page.url(), url, "the token is not in the address bar");
    const input = await page.$("input#file");
    await input!.uploadFile(image);
    await until("the file is chosen", async () => (await state()) === "Ready to serve");
    await page.click("#serve");
    await until("the socket is there", () => existsSync(socket));
    assert.match(await state(), /^Serving/);

    const copy = sandbox.path("copy");
    await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${socket}`, copy]);
    assert.is(await sha256(copy), digest);

    await page.click("#stop");
    await until("the page says that it has ended", async () => (await state()).startsWith("Ended"));
    await until("the socket file is gone", () => !existsSync(socket));
    await until("the gateway says so", () => gateway.stderr.includes("local: ended"));
    if (token !== undefined) {
      const said = gateway.stdout + gateway.stderr;
      assert.not.ok(said.includes(token), "the gateway has not said the token");
      await page.reload();
      await until("the login outlives a reload", async () => (await state()) === "No file chosen");
      await page.click("#log-out");
      await until("it has logged out", async () => (await state()) === "Not logged in");
    }
    await page.close();
    gateway.kill();
    assert.is(await gateway.exit, 0);
  });
}

tests.run();
