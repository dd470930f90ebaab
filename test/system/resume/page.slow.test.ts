/** The page goes on: after a reload, in a new tab after its own has died, and over a new link. */
import { appendFile, open, writeFile } from "node:fs/promises";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../../browser.ts";
import { needing, suite, until } from "../../harness.ts";
import { randomImage } from "../../image.ts";
import { SIZE } from "../../page/gateway-scene.ts";
import { inPage } from "../../page/tab.ts";
import { keptBy, PageScene } from "./page-scene.ts";

let browser: Browser;
const tests = suite<{ scene: PageScene }>("the page goes on");
const chromium = needing(tests, ["chromium", "nbdcopy"]);

tests.before(async () => {
  browser = await openChromium();
});
tests.after(() => browser?.close());
tests.before.each(async (context) => {
  context.scene = await new PageScene().start();
});
tests.after.each(({ scene }) => scene.end());

chromium("reloaded, and the file chosen again: the reader notices a pause only", async ({ scene }) => {
  const page = await scene.serve(await scene.context(browser));
  const copy = await scene.startCopy();
  await page.reload();
  await page.card().is("interrupted");
  copy.goOn();
  await until("the gateway waits", () => scene.gateway.stderr.includes("the disk waits for it, 60 s"));
  await page.card().choose(scene.image);
  await page.card().isServing();
  await copy.isWhole();
  const key = JSON.parse(await keptBy(page)).key;
  assert.not.match(scene.gateway.stderr + (await page.text()), key);
  await page.card().stop();
  assert.is(await keptBy(page), "", "stopped, it forgets the key");
  await page.reload();
  await page.card().is("free");
});

for (const how of ["its renderer has crashed", "it was closed"] as const) {
  chromium(`a new tab goes on in place of one that is gone: ${how}`, async ({ scene }) => {
    const context = await scene.context(browser);
    const page = await scene.serve(context);
    const copy = await scene.startCopy();
    if (how === "it was closed") await page.close();
    else {
      const crashed = new Promise((resolve) => page.tab.page.once("crash", resolve));
      page.tab.page.goto("chrome://crash").catch(() => {});
      await crashed;
    }
    copy.goOn();
    const next = await scene.open(context);
    await next.card().is("interrupted");
    await next.card().choose(scene.image);
    await next.card().isServing();
    await copy.isWhole();
    await next.card().stop();
  });
}

chromium("the link is cut: the page says so, and goes on by itself", async ({ scene }) => {
  const page = await scene.serve(await scene.context(browser));
  const copy = await scene.startCopy();
  scene.relay.isDown = true;
  scene.relay.cut();
  await page.card().isLost();
  await page.card().says(/tried.* until \d\d:\d\d$/);
  await page.card().shows("log", /trying again in \d+\.\d s: /);
  copy.goOn();
  scene.relay.isDown = false;
  await page.card().says(/^Serving again\. The link to 127\.0\.0\.1:\d+ was lost for \d+ s\. /, 20_000);
  await copy.isWhole();
  await page.card().stop();
});

chromium("another file is refused in words, and the disk waits on for the right one", async ({ scene }) => {
  const page = await scene.serve(await scene.context(browser));
  const copy = await scene.startCopy();
  await page.reload();
  await page.card().is("interrupted");
  copy.goOn();
  const shorter = scene.sandbox.path("shorter.img");
  await randomImage(shorter, SIZE - 512);
  const other = scene.sandbox.path("other.img");
  await randomImage(other, SIZE);
  for (const [wrong, why] of [
    [shorter, /medium than the one in use: it has 39999488 bytes, not 40000000/],
    [other, /medium than the one in use: it is "other\.img", not "disk\.img"/],
  ] as const) {
    await page.card().choose(wrong);
    await page.card().is("interrupted", "another-medium");
    await page.card().click("serve");
    await page.card().is("another-medium");
    await page.card().says(/\. Choose disk\.img, or serve this one instead: /);
    assert.match(await page.card().state(), why);
    assert.is(await page.card().textOf("take-over"), "Serve this one instead");
  }

  // One that was changed is named as the right one: it is tried at once.
  const changed = await open(scene.image, "r+");
  const { mtimeMs } = await changed.stat();
  const first = Buffer.alloc(1);
  await changed.read(first, 0, 1, 0);
  await changed.write(Buffer.of(first[0]! ^ 1), 0, 1, 0);
  await page.card().choose(scene.image);
  await page.card().says(/it was modified at another time\. Choose disk\.img, or /);
  await changed.write(first, 0, 1, 0);
  // The same millisecond.
  const time = (Math.floor(mtimeMs) + 0.5) / 1000;
  await changed.utimes(time, time);
  await changed.close();
  await page.card().choose(scene.image);
  await page.card().isServing();
  await copy.isWhole();
  await page.card().stop();
});

chromium("another file takes the place, if that is what is wanted", async ({ scene }) => {
  const page = await scene.serve(await scene.context(browser));
  await page.reload();
  await page.card().is("interrupted");
  const other = scene.sandbox.path("other.img");
  await writeFile(other, Buffer.alloc(4096, 7));
  await page.card().choose(other);
  await page.card().click("serve");
  await page.card().says(/medium than the one in use/);
  await page.card().click("take-over");
  await page.card().isServing();
  assert.is(JSON.parse(await keptBy(page)).name, "other.img");
  await page.card().stop();
});

chromium(
  "a second tab is a stranger: it takes over only when asked to, and nobody fights",
  async ({ scene }) => {
    const context = await scene.context(browser);
    const first = await scene.serve(context);
    const kept = await keptBy(first);
    const second = await scene.open(context);
    await second.card().choose(scene.image);
    await second.card().isInUse();
    await second
      .card()
      .says(/^In use by another tab of this browser\. disk\.img \(38\.1 MiB\), since [\d:]+, attached\. /);
    await first.card().isServing();
    assert.is(JSON.parse(await keptBy(first)).key, JSON.parse(kept).key);

    await second.card().click("take-over");
    await first.card().is("taken-over");
    await second.card().isServing();
    await until("the key is the second one's", async () => {
      const now = await keptBy(second);
      return now !== "" && JSON.parse(now).key !== JSON.parse(kept).key;
    });
    // What is kept is the second one's now: it is that which goes on after a reload.
    await second.reload();
    await second.card().is("interrupted");
    await second.card().choose(scene.image);
    await second.card().isServing();
    assert.is(await first.card().kind(), "taken-over");
    await second.card().stop();
  },
);

chromium("reloaded with nothing kept, it is a stranger, who may take over", async ({ scene }) => {
  const context = await scene.context(browser);
  const page = await scene.serve(context);
  await page.reload();
  await page.tab.page.evaluate(() => localStorage.clear());
  await page.reload();
  await page.card().choose(scene.image);
  await page.card().isInUse();
  await page.card().says(/disk\.img \(38\.1 MiB\), since [\d:]+, link lost, waiting for it until \d\d:\d\d/);
  await page.card().click("take-over");
  await page.card().isServing();
  await until("the first session is over", () =>
    scene.gateway.stderr.includes("local: taken over by 127.0.0.1"),
  );
  await page.card().stop();
});

/** Has a page find that its browser keeps nothing. */
function keepNothing(): void {
  const refuse = () => {
    throw new DOMException("no", "SecurityError");
  };
  Object.defineProperty(window, "localStorage", { get: refuse });
  Object.defineProperty(window, "indexedDB", { get: refuse });
  Object.defineProperty(navigator, "locks", {
    value: { request: () => Promise.reject(new Error("no")) },
  });
}

chromium(
  "a browser that keeps nothing serves, and its page comes back over a new link",
  async ({ scene }) => {
    const context = await scene.context(browser);
    await context.addInitScript(inPage(keepNothing));
    const page = await scene.serve(context);
    const copy = await scene.startCopy();
    scene.relay.cut();
    copy.goOn();
    await copy.isWhole();
    await page.card().stop();
  },
);

chromium("without locks, as over plain HTTP, the tabs ask each other", async ({ scene }) => {
  const context = await scene.context(browser);
  await context.addInitScript(() => Object.defineProperty(navigator, "locks", { value: undefined }));
  const first = await scene.serve(context);
  const second = await scene.open(context);
  await second.card().choose(scene.image);
  await second.card().isInUse();
  await first.close();
  await second.reload();
  await second.card().is("interrupted");
  await second.card().choose(scene.image);
  await second.card().isServing();
  await second.card().stop();
});

chromium(
  "a file that was changed while it was served: said, and the right bytes go on",
  async ({ scene }) => {
    const page = await scene.serve(await scene.context(browser));
    const copy = await scene.startCopy();
    await appendFile(scene.image, "more");
    scene.relay.cut();
    // The browser refuses to read it, so nothing can be said of what it is: that is tried again.
    await page.card().isLost();
    await page.card().shows("log", /cannot be read/);
    copy.goOn();
    assert.match(scene.gateway.stderr, /the disk waits for it/);
  },
);

tests.run();
