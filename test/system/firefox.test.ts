import { existsSync } from "node:fs";
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

needing(tests, ["firefox-esr", "nbdcopy"])("a file of 50 MB, nbdcopy", async () => {
  const socket = sandbox.path("local.sock");
  const image = sandbox.path("image.img");
  const digest = await randomImage(image, 50_000_001);
  const config = sandbox.path("config.json");
  const configurations = { local: { listen: `unix:${socket}` } };
  await writeFile(config, JSON.stringify({ configurations, "state-hook": "/nowhere" }));
  const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
  await until("the gateway's URL", () => gateway.stdout.endsWith("\n"));

  browser = await launch({ browser: "firefox", executablePath: "/usr/bin/firefox-esr", headless: true });
  const page = await browser.newPage();
  await page.goto(gateway.stdout.trim());
  const state = () => page.$eval("#state", (element) => element.textContent ?? "");
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
});

tests.run();
