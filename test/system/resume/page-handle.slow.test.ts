/** A page that remembers where its file is, and goes on by one click. */
import { rm } from "node:fs/promises";
import type { Browser, Page } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium, stop } from "../../browser.ts";
import { needing, suite } from "../../harness.ts";
import { keptBy, PageScene, says } from "./page-scene.ts";

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

/** Drops a file on the page as a person does, with the mouse. */
async function drop(page: Page, file: string): Promise<void> {
  const session = await page.context().newCDPSession(page);
  for (const type of ["dragEnter", "dragOver", "drop"] as const) {
    const data = { items: [], files: [file], dragOperationsMask: 1 };
    await session.send("Input.dispatchDragEvent", { type, x: 200, y: 200, data });
  }
  await session.detach();
}

chromium("a file that was dropped: reloaded, one click goes on with it", async ({ scene }) => {
  const page = await scene.open(await scene.context(browser));
  await says(page, /^No file chosen$/);
  await drop(page, scene.image);
  await says(page, /^Ready to serve$/);
  await page.click("#serve");
  await says(page, /^Serving/);
  const copy = await scene.startCopy();
  await page.reload();
  await says(page, /^The disk waits for disk\.img until \d\d:\d\d: go on, or choose it again$/);
  copy.goOn();
  assert.is(await page.innerText("#go-on"), "Go on with disk.img");
  await page.click("#go-on");
  await says(page, /^Serving/);
  await copy.isWhole();
  await stop(page);
  assert.is(await keptBy(page), "");
  await page.reload();
  await says(page, /^No file chosen$/);
  assert.not(await page.isVisible("#go-on"), "stopped, it forgets the file");
});

chromium("its file is gone: said, and another way is left", async ({ scene }) => {
  const page = await scene.open(await scene.context(browser));
  await says(page, /^No file chosen$/);
  await drop(page, scene.image);
  await says(page, /^Ready to serve$/);
  await page.click("#serve");
  await says(page, /^Serving/);
  await page.reload();
  await says(page, /^The disk waits for disk\.img/);
  await rm(scene.image);
  await page.click("#go-on");
  await says(page, /^disk\.img cannot be read: choose it again$/);
  assert.ok(await page.isEnabled("#file"));
});

tests.run();
