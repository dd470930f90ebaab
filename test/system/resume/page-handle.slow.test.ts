/** A page that remembers where its file is, and goes on by one click. */
import { rm } from "node:fs/promises";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../../browser.ts";
import { needing, suite, until } from "../../harness.ts";
import type { ChromiumPage } from "../../page/open.ts";
import { keptBy, PageScene } from "./page-scene.ts";

let browser: Browser;
const tests = suite<{ scene: PageScene }>("a page that remembers its file");
const chromium = needing(tests, ["chromium", "nbdcopy"]);

tests.before(async () => {
  browser = await openChromium();
});
tests.after(() => browser?.close());
tests.before.each(async (context) => {
  context.scene = await new PageScene().start();
});
tests.after.each(({ scene }) => scene.end());

/** Has the browser want to be asked again whether a page may read a file, as it does where it was not allowed for good. */
const ASKS = "FileSystemHandle.prototype.queryPermission = async () => 'prompt'";

/** How many handles this browser keeps for pages that go on. */
const KEPT_HANDLES = `new Promise((done) => {
  const opening = indexedDB.open("nbd-proxy");
  opening.onsuccess = () => {
    const counting = opening.result.transaction("handles").objectStore("handles").count();
    counting.onsuccess = () => { opening.result.close(); done(counting.result); };
  };
})`;

/** Opens the page, drops the image there, and serves it until the browser has kept where it is. */
async function serveDropped(scene: PageScene, script = ""): Promise<ChromiumPage> {
  const context = await scene.context(browser);
  await context.addInitScript(script);
  const page = await scene.open(context);
  await page.card().is("free");
  await page.card().dropByMouse(scene.image);
  await page.card().is("ready");
  await page.card().serve();
  await until("the handle is kept", async () => (await page.tab.evaluate<number>(KEPT_HANDLES)) > 0);
  return page;
}

/** Stops it: nothing of it is kept then. */
async function forgets(page: ChromiumPage): Promise<void> {
  await page.card().stop();
  await until("the key is forgotten", async () => (await keptBy(page)) === "");
  await page.reload();
  await page.card().is("free");
  assert.not(await page.card().isVisible("go-on"), "stopped, it forgets the file");
}

chromium(
  "a file that was dropped: reloaded, it goes on by itself with what it may read",
  async ({ scene }) => {
    const page = await serveDropped(scene);
    const copy = await scene.startCopy();
    await page.reload();
    copy.goOn();
    await page.card().isServing();
    await copy.isWhole();
    await forgets(page);
  },
);

chromium("where the browser wants to be asked, one click goes on", async ({ scene }) => {
  const page = await serveDropped(scene, ASKS);
  const copy = await scene.startCopy();
  await page.reload();
  await page.card().is("interrupted");
  await page
    .card()
    .says(/^The other machine waits for disk\.img\. .* until \d\d:\d\d\. Go on, or choose the same file/);
  copy.goOn();
  await page.card().click("go-on");
  await page.card().isServing();
  await copy.isWhole();
  await forgets(page);
});

chromium("its file is gone: said, and another way is left", async ({ scene }) => {
  const page = await serveDropped(scene, ASKS);
  await page.reload();
  await page.card().is("interrupted");
  await rm(scene.image);
  await page.card().click("go-on");
  await page.card().shows("log", /disk\.img cannot be read: /);
  assert.ok(await page.card().isEnabled("file"));
});

tests.run();
