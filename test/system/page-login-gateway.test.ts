import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../browser.ts";
import { needing, program, type Running, Sandbox, suite, until } from "../harness.ts";
import { locationOf, startNginx } from "../nginx.ts";
import { type ChromiumPage, openPage } from "../page/open.ts";

/* The page's login at a gateway, and two pages that want the same configuration. */
const tests = suite("the login of the page at a gateway");

let sandbox: Sandbox;
let browser: Browser | undefined;
let gateway: Running;
let url: string;
let config: string;
let file: string;
let tokenFile: string;
let token: string;

/** All that gateways have said. */
let said = "";

tests.before(async () => {
  sandbox = new Sandbox();
  config = sandbox.path("config.json");
  file = sandbox.path("boot.iso");
  await writeFile(file, "x".repeat(512));
  tokenFile = sandbox.path("login/token");
  const configurations = { local: { listen: `unix:${sandbox.path("local.sock")}` } };
  await writeFile(
    config,
    JSON.stringify({ configurations, "state-hook": "/nowhere", "take-over-interval": 0 }),
  );
  await start("0");
  token = (await readFile(tokenFile, "utf8")).trim();
});

tests.after(async () => {
  await browser?.close();
  await sandbox.end();
});

tests.after.each(async () => {
  // Of a test that has failed, too.
  for (const context of browser?.contexts() ?? []) await context.close();
});

async function start(port: string, ...more: string[]) {
  const args = ["--config", config, "--port", port, "--token-file", tokenFile, ...more];
  gateway = sandbox.start(program("nbd-gateway"), args);
  await until("the gateway's URL", () => gateway.stdout.endsWith("\n"));
  url = gateway.stdout.trim();
}

async function end() {
  gateway.kill();
  assert.is(await gateway.exit, 0);
  said += gateway.stdout + gateway.stderr;
}

/** Opens the page in a browser that has not been there before. */
async function open(address: string): Promise<ChromiumPage> {
  browser ??= await openChromium();
  return openPage(await browser.newContext({ ignoreHTTPSErrors: true }), address);
}

/** What this tab has kept of its login. */
const kept = ({ tab }: ChromiumPage) => tab.evaluate<string>("Object.values(sessionStorage).join()");

const chromium = needing(tests, ["chromium"]);

chromium(
  "a login outlives a reload and a restart of the gateway; neither token nor login is in its log",
  async () => {
    const page = await open(`${url}#${token}`);
    await page.card().is("free");
    await page.reload();
    await page.card().is("free");
    await end();
    await start(new URL(url).port);
    await page.card().choose(file);
    await page.card().serve();
    await until("the socket is there", () => existsSync(sandbox.path("local.sock")));
    await page.card().stop();
    const session = await kept(page);
    assert.match(session, /^s\.[\w-]{43}$/);
    await page.logOut();
    await page.isAsked(/^$/);
    const { status } = await fetch(`${url}metadata`, { headers: { Authorization: `Bearer ${session}` } });
    assert.is(status, 401);
    said += gateway.stdout + gateway.stderr;
    assert.not.match(said, token);
    assert.not.match(said, session.slice(2));
  },
);

chromium("a new token ends the login: Serve asks for it, and goes on", async () => {
  const page = await open(`${url}#${token}`);
  await page.card().is("free");
  await page.card().choose(file);
  await sandbox.run(program("nbd-gateway"), ["--new-token", "--token-file", tokenFile]);
  await page.card().click("serve");
  await page.isAsked(/^Your login has ended/);
  await page.logIn(token);
  await page.isAsked(/^This is not the token/);
  token = (await readFile(tokenFile, "utf8")).trim();
  await page.logIn(token);
  await page.card().isServing();
  await page.card().stop();
});

chromium(
  "two pages and a terminal want the same configuration: each takes it over from the one before",
  async () => {
    const [first, second] = await Promise.all([open(`${url}#${token}`), open(`${url}#${token}`)]);
    await first.card().choose(file);
    await first.card().serve();
    await second.card().choose(file);
    await second.card().is("held");
    await second
      .card()
      .says(
        /^In use by 127\.0\.0\.1\. boot\.iso \(512 B(ytes)?\), since [\d:]+, attached\. Choose a file and take it over/,
      );
    await second.card().click("take-over");
    await first.card().says(/^Taken over\. Taken over by 127\.0\.0\.1[.]/);
    await second.card().isServing();

    // From the terminal, and back from there.
    const image = sandbox.path("terminal.img");
    await writeFile(image, Buffer.alloc(4096));
    const args = ["--take-over", "--token-file", tokenFile, image, url];
    const terminal = sandbox.start(program("nbd-serve"), args);
    await second.card().says(/^Taken over\. Taken over by 127\.0\.0\.1[.]/);
    await until("the terminal is served", () => gateway.stderr.includes("local: 4096 bytes, "));
    await second.card().click("serve");
    await second.card().is("in-use");
    assert.match(await second.card().state(), /terminal\.img/);
    await second.card().click("take-over");
    assert.is(await terminal.exit, 1);
    assert.match(terminal.stderr, /: taken over by 127\.0\.0\.1\n$/);
    await second.card().isServing();
    await second.card().stop();
  },
);

needing(tests, ["chromium", "nginx"])("below a path of a reverse proxy", async () => {
  const page = await open(`${await startNginx(sandbox, locationOf(url))}#${token}`);
  await page.card().is("free");
  await page.card().choose(file);
  await page.card().serve();
  await page.card().stop();
  await page.logOut();
  await page.isAsked(/^$/);
});

chromium("over TLS the login is a cookie, which outlives a restart of the gateway", async () => {
  await end();
  await start("0", "--tls-self-signed");
  const page = await open(`${url}#${token}`);
  await page.card().is("free");
  assert.is(await kept(page), "");
  const [cookie] = await page.tab.page.context().cookies();
  assert.match(cookie!.name, /^__Host-nbd-proxy-[\da-f]{8}$/);
  assert.equal([cookie!.secure, cookie!.httpOnly, cookie!.sameSite], [true, true, "Strict"]);
  await end();
  await start(new URL(url).port, "--tls-self-signed");
  await page.reload();
  await page.card().choose(file);
  await page.card().serve();
  await page.card().stop();
  await page.logOut();
  await page.isAsked(/^$/);
  assert.equal(await page.tab.page.context().cookies(), []);
  await end();
  assert.not.match(said, cookie!.value.slice(2));
  await start("0");
});

// At last, as others of this address are limited too.
chromium("too many wrong tokens: when to try again; the right one passes at any time", async () => {
  const page = await open(`${url}#wrong`);
  // This address may have sent some before.
  for (let i = 0; i < 10; i++) {
    await page.isAsked(/./);
    if ((await page.textOf("login-words")).startsWith("There were")) break;
    await page.logIn(`wrong ${i}`);
  }
  await page.isAsked(/^There were too many attempts with a wrong token: try again in \d+ s$/);
  await page.logIn(`${url}#${token}`);
  await page.card().is("free");
  await end();
  assert.not.match(said, token);
});

tests.run();
