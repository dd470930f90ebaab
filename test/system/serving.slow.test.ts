/** The engine in browsers: in a Worker, and in the page where none can be made. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import * as assert from "uvu/assert";
import { type Gateway, gateway, parseConfig } from "../../src/node/index.ts";
import type { ServingReport } from "../../web/serving/report.ts";
import { needing, Sandbox, suite, until } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";
import { chromiumTabs, firefoxTabs, type Tab, type Tabs, writeServingPage } from "../serving-page.ts";
import { startWebsocketd } from "../websocketd.ts";

/** Bytes of the image. */
const SIZE = 32 * 1024 * 1024 + 1;

/** Milliseconds for which it is under load. */
const LOAD = 5000;

for (const [name, program, openTabs] of [
  ["Chromium", "chromium", chromiumTabs],
  ["Firefox", "firefox-esr", firefoxTabs],
] as const) {
  const tests = suite(`the engine in ${name}`);
  const peers = needing(tests, [program, "nbdcopy"]);
  let sandbox: Sandbox;
  let running: Gateway;
  let tabs: Tabs | undefined;
  let tab: Tab | undefined;
  let socket: string;
  let image: string;
  let digest: string;

  tests.before(async () => {
    sandbox = new Sandbox();
    socket = sandbox.path("local.sock");
    image = sandbox.path("image.img");
    digest = await randomImage(image, SIZE);
    // Below a path, as behind a proxy.
    await writeServingPage(sandbox.path("pages/below/it"));
    const config = { configurations: { local: { listen: `unix:${socket}` } }, "state-hook": "/nowhere" };
    running = await gateway({
      config: parseConfig("config.json", JSON.stringify(config)),
      port: 0,
      staticFolder: sandbox.path("pages"),
      log: () => {},
    });
  });
  tests.after.each(async () => {
    await tab?.close();
    tab = undefined;
  });
  tests.after(async () => {
    await tabs?.close();
    await running.close();
    await sandbox.end();
  });

  async function serve(page: string, options = {}): Promise<Tab> {
    tabs ??= await openTabs();
    const opened = await tabs.open(new URL(`below/it/${page}`, running.url).href);
    tab = opened;
    await opened.choose(image);
    const endpoint = running.url.replace("http", "ws");
    await until("the page's script", async () => (await opened.evaluate("typeof serveIn")) === "function");
    await opened.evaluate(`void serveIn(${JSON.stringify(endpoint)}, ${JSON.stringify(options)})`);
    return opened;
  }

  async function copy(): Promise<string> {
    await until("the socket is there", () => existsSync(socket));
    const target = sandbox.path("copy");
    await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${socket}`, target]);
    const copied = await sha256(target);
    await rm(target);
    return copied;
  }

  // In words, as not every driver carries bytes.
  const last = async (tab: Tab): Promise<ServingReport> =>
    JSON.parse((await tab.evaluate("JSON.stringify({ ...seen.serving.report, map: undefined })")) as string);
  const isInWorker = (tab: Tab) => tab.evaluate("seen.serving.isInWorker");

  async function stop(tab: Tab) {
    await tab.evaluate("seen.serving.stop()");
    await until("it has ended", async () => (await last(tab)).state === "ended");
    await until("the socket file is gone", () => !existsSync(socket));
  }

  peers("a copy through the Worker, and no more than four messages a second", async () => {
    const tab = await serve("serving.html");
    assert.is(await copy(), digest);
    assert.is(await isInWorker(tab), true);
    const count = async () => (await tab.evaluate("[seen.messages.length, performance.now()]")) as number[];
    const [before, began] = await count();
    for (const until = performance.now() + LOAD; performance.now() < until; ) {
      await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${socket}`, "null:"]);
    }
    const [after, ended] = await count();
    const seconds = (ended! - began!) / 1000;
    const messages = after! - before!;
    assert.ok(messages >= seconds, `${messages} messages in ${seconds} s: too few to see anything`);
    assert.ok(messages <= 4 * seconds + 1, `${messages} messages in ${seconds} s`);
    const { state, totals } = await last(tab);
    assert.is(state, "serving");
    assert.ok(totals.bytesRead >= SIZE);
    assert.is(totals.bytesCovered, SIZE);
    const least = (await tab.evaluate(
      "Math.min(...seen.reports.filter(({ map }) => map).at(-1).map.reads)",
    )) as number;
    assert.ok(least >= 16, "all of the map was read at least once");

    // The gateway asks for something every few seconds. Nothing else is told.
    const quiet = (await count())[0]!;
    await until("a report after a quiet moment", async () => (await count())[0]! > quiet);
    await stop(tab);
  });

  for (const [what, page, options] of [
    ["there are no Workers", "serving.html", { isInPage: true }],
    ["a policy forbids Workers", "without-workers.html", {}],
  ] as const) {
    peers(`where ${what} the page serves itself`, async () => {
      const tab = await serve(page, options);
      assert.is(await copy(), digest);
      assert.is(await isInWorker(tab), false);
      await stop(tab);
    });
  }

  peers("where there is no script of the engine, it says so", async () => {
    const tab = await serve("serving.html", { script: "./nowhere.js" });
    await until("it has failed", async () => (await last(tab)).state === "failed");
    const { failure } = await last(tab);
    assert.match(failure!.words, /nowhere\.js/);
  });

  peers("a Worker that was killed is a failure in words", async () => {
    const tab = await serve("serving.html", { speed: 20 });
    assert.is(await copy(), digest);
    await tab.evaluate("seen.worker.terminate()");
    await until("it has failed", async () => (await last(tab)).state === "failed");
    const { failure } = await last(tab);
    assert.match(failure!.words, /serve again/);
    await until("the socket file is gone", () => !existsSync(socket));
  });

  tests.run();
}

const relayed = suite("the engine behind websocketd");

needing(relayed, ["websocketd"])("its script is served as a script", async () => {
  const sandbox = new Sandbox();
  const { page } = await startWebsocketd(sandbox, ["false"]);
  const response = await fetch(`${page}js/serving-worker.js`);
  assert.match(response.headers.get("content-type") ?? "", /^text\/javascript/);
  await sandbox.end();
});

relayed.run();
