/** A page that remembers where its file is, and goes on by one click. */
import { rm } from "node:fs/promises";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../../browser.ts";
import { needing, suite } from "../../harness.ts";
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

chromium("a file that was dropped: reloaded, one click goes on with it", async ({ scene }) => {
  const page = await scene.open(await scene.context(browser));
  await page.card().is("free");
  await page.card().dropByMouse(scene.image);
  await page.card().is("ready");
  await page.card().click("serve");
  await page.card().isServing();
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
  await page.card().stop();
  assert.is(await keptBy(page), "");
  await page.reload();
  await page.card().is("free");
  assert.not(await page.card().isVisible("go-on"), "stopped, it forgets the file");
});

chromium("its file is gone: said, and another way is left", async ({ scene }) => {
  const page = await scene.open(await scene.context(browser));
  await page.card().is("free");
  await page.card().dropByMouse(scene.image);
  await page.card().is("ready");
  await page.card().click("serve");
  await page.card().isServing();
  await page.reload();
  await page.card().is("interrupted");
  await rm(scene.image);
  await page.card().click("go-on");
  await page.card().shows("log", /disk\.img cannot be read: /);
  assert.ok(await page.card().isEnabled("file"));
});

tests.run();
