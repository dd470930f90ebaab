import { existsSync, readFileSync } from "node:fs";
import { copyFile, cp, mkdir, writeFile } from "node:fs/promises";
import type { Browser, Page } from "playwright-core";
import * as assert from "uvu/assert";
import { type Gateway, gateway, parseConfig } from "../../src/node/index.ts";
import { openChromium } from "../browser.ts";
import { needing, root, Sandbox, suite, until } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { openPage } from "../page/open.ts";

/* Other people's pages: the classic script and the ES module in Chromium. */
const tests = suite("the library in a page");

const classic = `<!doctype html>
<input id="file" type="file">
<script src="js/nbd.js"></script>
<script src="own.js"></script>`;

/** For browsers that lack a part of the Streams API. */
const old = classic.replace("<script", '<script src="js/polyfill.js"></script>\n<script');

/** The README's page of one's own, and its script. */
const readme = readFileSync(`${root}/README.md`, "utf8");
const [, ownPage] = /^```html\n(.*?)^```$/ms.exec(readme)!;
const [, ownScript] = /^```js page\n(.*?)^```$/ms.exec(readme)!;

const module = `<!doctype html>
<input id="file" type="file">
<script type="module" src="module.js"></script>`;

const moduleScript = `import { blobExport, join, nbdServer, webSocket } from "./nbd-proxy.js";
window.run = async (url) => {
  const [file] = document.getElementById("file").files;
  await join(webSocket(new WebSocket(url)), nbdServer(blobExport(file)));
  return "joined";
};
window.readAll = (rounds) => {
  const [file] = document.getElementById("file").files;
  // Nobody but who reads knows of it.
  (async () => {
    for (let i = 0; i < rounds; i++) {
      const target = blobExport(file);
      await Promise.all([0, 1, 2, 3].map((at) => target.read(at << 20, 1 << 20)));
      window.rounds = i + 1;
    }
  })();
};`;

let sandbox: Sandbox;
let running: Gateway;
let browser: Browser | undefined;
let socket: string;
let image: string;
let digest: string;

tests.before(async () => {
  sandbox = new Sandbox();
  socket = sandbox.path("local.sock");
  image = sandbox.path("image.img");
  digest = await randomImage(image, 10_000_001);
  const folder = sandbox.path("pages");
  await mkdir(`${folder}/js`, { recursive: true });
  await cp(`${root}/dist/web`, folder, { recursive: true });
  await copyFile(`${root}/dist/browser/nbd-proxy.js`, `${folder}/nbd-proxy.js`);
  await writeFile(`${folder}/classic.html`, classic);
  await writeFile(`${folder}/old.html`, old);
  await writeFile(`${folder}/own.js`, "");
  await writeFile(`${folder}/readme.html`, `<!doctype html>\n${ownPage!.replace("own.js", "readme.js")}`);
  await writeFile(`${folder}/readme.js`, ownScript!);
  await writeFile(`${folder}/module.html`, module);
  await writeFile(`${folder}/module.js`, moduleScript);
  const config = { configurations: { local: { listen: `unix:${socket}` } }, "state-hook": "/nowhere" };
  running = await gateway({
    config: parseConfig("config.json", JSON.stringify(config)),
    port: 0,
    staticFolder: folder,
    log: () => {},
  });
});

tests.after(async () => {
  await browser?.close();
  await running.close();
  await sandbox.end();
});

const endpoint = () => running.url.replace("http", "ws");

async function open(name: string, script = ""): Promise<Page> {
  browser ??= await openChromium();
  const page = await browser.newPage();
  await page.addInitScript(script);
  await page.goto(new URL(name, running.url).href);
  await page.setInputFiles("#file", image);
  return page;
}

async function copy(): Promise<string> {
  await until("the socket is there", () => existsSync(socket));
  const target = sandbox.path("copy");
  await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${socket}`, target]);
  return sha256(target);
}

const peers = needing(tests, ["chromium", "nbdcopy"]);

for (const construct of ["new NBDServer(url, file)", "NBDServer(url, file)"]) {
  peers(`a classic script: ${construct}`, async () => {
    const page = await open("classic.html");
    assert.is(await page.evaluate("typeof nbd"), "undefined", "the script defines nothing else");
    await page.evaluate(
      `const url = ${JSON.stringify(endpoint())}, file = document.getElementById("file").files[0];
       const lines = window.lines = [];
       const server = window.server = ${construct};
       server.onlog = (line) => lines.push(line);
       server.start();`,
    );
    assert.is(await copy(), digest);
    assert.ok(await page.evaluate("server instanceof NBDServer"));
    await page.evaluate("server.stop()");
    await until(
      "it has ended",
      async () => (await page.evaluate("lines.at(-1)")) === "the session has ended",
    );
    await until("the socket file is gone", () => !existsSync(socket));

    // A server that was stopped can be started again.
    await page.evaluate("server.start()");
    assert.is(await copy(), digest);
    await page.evaluate("server.stop()");
    await until("the socket file is gone", () => !existsSync(socket));
    await page.close();
  });
}

peers("the README's page of one's own serves the file that is chosen", async () => {
  const page = await open("readme.html");
  assert.is(await copy(), digest);
  await page.close();
  await until("the socket file is gone", () => !existsSync(socket));
});

/** What browsers before 2022 lack. */
const missing = "delete WritableStreamDefaultController.prototype.signal";

peers("an old browser, whose page loads the polyfill before the classic script", async () => {
  const page = await open("old.html", missing);
  await page.evaluate(
    `server = new NBDServer(${JSON.stringify(endpoint())}, document.getElementById("file").files[0]);
     server.start();`,
  );
  assert.is(await copy(), digest);
  await page.evaluate("server.stop()");
  await until("the socket file is gone", () => !existsSync(socket));
  await page.close();
});

peers("an old browser, whose page does not: it is told what to load", async () => {
  const page = await open("classic.html", missing);
  const line = await page.evaluate(
    `new Promise((resolve) => {
       const server = new NBDServer(${JSON.stringify(endpoint())}, document.getElementById("file").files[0]);
       server.onstate = (state) => state === "failed" && setTimeout(() => resolve(last));
       server.onlog = (line) => { last = line; };
       server.start();
     })`,
  );
  assert.match(String(line), /^this runtime lacks a part of the Streams API: .* load polyfill\.js$/);
  await page.close();
});

peers("our own page loads the polyfill where what serves lacks streams, and nowhere else", async () => {
  const noWorker = "delete globalThis.Worker;";
  for (const [script, loaded] of [
    [`${missing}; ${noWorker}`, 1],
    [noWorker, 0],
    // The page itself needs none.
    [missing, 0],
    ["", 0],
  ] as const) {
    browser ??= await openChromium();
    const context = await browser.newContext();
    await context.addInitScript(script);
    const page = await openPage(context, running.url, image);
    await page.card().serve();
    assert.is(await copy(), digest);
    const names = await page.tab.evaluate<string[]>(
      "performance.getEntriesByType('resource').map(({ name }) => name)",
    );
    assert.is(names.filter((name) => name.endsWith("polyfill.js")).length, loaded);
    await page.card().stop();
    await until("the socket file is gone", () => !existsSync(socket));
    await context.close();
  }
});

peers("a read that only its reader knows of survives the garbage collector", async () => {
  const page = await open("module.html");
  const collector = await page.context().newCDPSession(page);
  const rounds = 100;
  await page.evaluate(`readAll(${rounds})`);
  await until(
    "all was read",
    async () => {
      await collector.send("HeapProfiler.collectGarbage");
      return (await page.evaluate("window.rounds")) === rounds;
    },
    60_000,
  );
  await page.close();
});

peers("the ES module: join(webSocket(…), nbdServer(blobExport(file)))", async () => {
  const page = await open("module.html");
  const joined = page.evaluate(`run(${JSON.stringify(endpoint())})`);
  joined.catch(() => {});
  assert.is(await copy(), digest);
  // The other side ends; that is no failure.
  await running.close();
  assert.is(await joined, "joined");
  await page.close();
});

tests.run();
