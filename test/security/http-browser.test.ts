/** The gateway and a real browser: what another page in it can reach, and what it does with a new version of our page. */
import { readdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { type Gateway, gateway, parseConfig } from "../../src/node/index.ts";
import { openChromium } from "../browser.ts";
import { needing, Sandbox, until } from "../harness.ts";
import { eachWay } from "./each-way.ts";
import { type LoginHere, loginHere } from "./login-here.ts";
import { writePage } from "./page.ts";

const tests = eachWay("the gateway and other pages in Chromium");
const test = needing(tests, ["chromium"]);

let sandbox: Sandbox;
let browser: Browser | undefined;
let running: Gateway | undefined;
let folder: string;
let login: LoginHere;
let log: string[];

async function start(port = 0): Promise<Gateway> {
  const config = parseConfig("config.json", '{"configurations":{}}');
  const note = (line: string) => void log.push(line);
  running = await gateway({ config, port, staticFolder: folder, log: note, ...login.options });
  return running;
}

tests.before(async ({ hasLogin }) => {
  sandbox = new Sandbox();
  log = [];
  login = loginHere({ hasLogin });
  folder = await writePage(sandbox.path("web"));
  await writeFile(`${folder}/index.html`, '<!doctype html><script src="page.js"></script>');
});

tests.after(async () => {
  await browser?.close();
  browser = undefined;
  await running?.close();
  login.end();
  await sandbox.end();
});

test("a page from elsewhere fetches without CORS, loads images and scripts: all is refused", async () => {
  const { url, close } = await start();
  const evil = createServer((_request, response) =>
    response.setHeader("Content-Type", "text/html").end("evil"),
  );
  await new Promise<void>((resolve) => evil.listen(0, "127.0.0.1", resolve));
  browser ??= await openChromium();
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${(evil.address() as AddressInfo).port}/`);
  const before = readdirSync("/proc/self/fd").length;
  const loaded = await page.evaluate(async (url) => {
    const aborting = new AbortController();
    const fetches = Array.from({ length: 100 }, (_, i) =>
      fetch(`${url}page.js?${i}`, { mode: "no-cors", signal: i % 2 ? aborting.signal : null }).catch(
        () => {},
      ),
    );
    setTimeout(() => aborting.abort(), 20);
    await Promise.all(fetches);
    return Promise.all(
      ["img", "script"].map((name) => {
        const element = Object.assign(document.createElement(name), { src: `${url}page.js` });
        document.body.append(element);
        return new Promise((resolve) => {
          element.onload = () => resolve(true);
          element.onerror = () => resolve(false);
        });
      }),
    );
  }, url);
  assert.equal(loaded, [false, false]);
  await until("all connections are gone", () => readdirSync("/proc/self/fd").length <= before);
  // What this machine's own visitor asks for, as for an icon, is told in further lines.
  const told = [...log];
  // A link is fine.
  const answer = await page.goto(url);
  assert.is(answer?.status(), 200);
  await page.close();
  evil.close();
  await close();
  const leftOut = Number(/^(\d+) more lines were left out$/.exec(log.at(-1)!)?.[1]);
  assert.ok(told.length + leftOut >= 52, `${told.length} lines, and ${leftOut} left out`);
  for (const line of told)
    assert.match(line, /^refused "GET \/page\.js.*" with 403: the request comes from another site /);
});

test("after an upgrade a reload, and a new visit, run the new script", async () => {
  const version = (n: number) => writeFile(`${folder}/page.js`, `document.title = "version ${n}";`);
  await version(1);
  const first = await start();
  const { url } = first;
  browser ??= await openChromium();
  const page = await browser.newPage();
  await page.goto(url);
  assert.is(await page.title(), "version 1");
  await first.close();
  await version(2);
  const second = await start(Number(new URL(url).port));
  await page.reload();
  assert.is(await page.title(), "version 2");
  await second.close();
  await version(3);
  await start(Number(new URL(url).port));
  await page.goto(url);
  assert.is(await page.title(), "version 3");
  await page.close();
});

tests.run();
