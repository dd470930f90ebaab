/** The page goes on: after a reload, in a new tab after its own has died, and over a new link. */
import { appendFile, open, writeFile } from "node:fs/promises";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium, stateOf, stop } from "../../browser.ts";
import { needing, suite, until } from "../../harness.ts";
import { randomImage } from "../../image.ts";
import { keptBy, PageScene, SIZE, says } from "./page-scene.ts";

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

const WAITING = /^Choose disk\.img again to go on: the disk waits until \d\d:\d\d$/;

chromium("reloaded, and the file chosen again: the reader notices a pause only", async ({ scene }) => {
  const page = await scene.serve(await scene.context(browser));
  const copy = await scene.startCopy();
  await page.reload();
  await says(page, WAITING);
  copy.goOn();
  await until("the gateway waits", () => scene.gateway.stderr.includes("the disk waits for it, 60 s"));
  await page.setInputFiles("#file", scene.image);
  await says(page, /^Serving/);
  await copy.isWhole();
  const key = JSON.parse(await keptBy(page)).key;
  assert.not.match(scene.gateway.stderr + (await page.innerText("body")), key);
  await stop(page);
  assert.is(await keptBy(page), "", "stopped, it forgets the key");
  await page.reload();
  await says(page, /^No file chosen$/);
});

for (const how of ["its renderer has crashed", "it was closed"] as const) {
  chromium(`a new tab goes on in place of one that is gone: ${how}`, async ({ scene }) => {
    const context = await scene.context(browser);
    const page = await scene.serve(context);
    const copy = await scene.startCopy();
    if (how === "it was closed") await page.close();
    else {
      const crashed = new Promise((resolve) => page.once("crash", resolve));
      page.goto("chrome://crash").catch(() => {});
      await crashed;
    }
    copy.goOn();
    const next = await scene.open(context);
    await says(next, WAITING);
    await next.setInputFiles("#file", scene.image);
    await says(next, /^Serving/);
    await copy.isWhole();
    await stop(next);
  });
}

chromium("the link is cut: the page says so, and goes on by itself", async ({ scene }) => {
  const page = await scene.serve(await scene.context(browser));
  const copy = await scene.startCopy();
  scene.relay.isDown = true;
  scene.relay.cut();
  await says(page, /^Connection lost: trying again until \d\d:\d\d$/);
  await until("it says when it tries again", async () =>
    /^trying again in \d+\.\d s: /.test(await page.innerText("#detail")),
  );
  copy.goOn();
  scene.relay.isDown = false;
  await says(page, /^Serving again, after \d+ s without a connection$/, 20_000);
  assert.not(await page.isVisible("#detail"));
  await copy.isWhole();
  await stop(page);
});

chromium("another file is refused in words, and the disk waits on for the right one", async ({ scene }) => {
  const page = await scene.serve(await scene.context(browser));
  const copy = await scene.startCopy();
  await page.reload();
  await says(page, WAITING);
  copy.goOn();
  const shorter = scene.sandbox.path("shorter.img");
  await randomImage(shorter, SIZE - 512);
  const other = scene.sandbox.path("other.img");
  await randomImage(other, SIZE);
  for (const [wrong, why] of [
    [shorter, /medium than the one in use: it has 39999488 bytes, not 40000000/],
    [other, /medium than the one in use: it is "other\.img", not "disk\.img"/],
  ] as const) {
    await page.setInputFiles("#file", wrong);
    await says(page, /^Ready to serve\. Choose disk\.img again/);
    await page.click("#serve");
    await says(page, /\. Choose disk\.img again to go on: the disk waits until \d\d:\d\d$/);
    assert.match(await stateOf(page), why);
    assert.is(await page.innerText("#take-over"), "Serve this one instead");
  }

  // One that was changed is named as the right one: it is tried at once.
  const changed = await open(scene.image, "r+");
  const { mtimeMs } = await changed.stat();
  const first = Buffer.alloc(1);
  await changed.read(first, 0, 1, 0);
  await changed.write(Buffer.of(first[0]! ^ 1), 0, 1, 0);
  await page.setInputFiles("#file", scene.image);
  await says(page, /it was modified at another time\. Choose disk\.img again/);
  await changed.write(first, 0, 1, 0);
  // The same millisecond.
  const time = (Math.floor(mtimeMs) + 0.5) / 1000;
  await changed.utimes(time, time);
  await changed.close();
  // A browser sees no change in a file that is chosen again, unless it is clicked at.
  await page.setInputFiles("#file", []);
  await page.setInputFiles("#file", scene.image);
  await says(page, /^Serving/);
  await copy.isWhole();
  await stop(page);
});

chromium("another file takes the place, if that is what is wanted", async ({ scene }) => {
  const page = await scene.serve(await scene.context(browser));
  await page.reload();
  await says(page, WAITING);
  const other = scene.sandbox.path("other.img");
  await writeFile(other, Buffer.alloc(4096, 7));
  await page.setInputFiles("#file", other);
  await says(page, /^Ready to serve\. Choose/);
  await page.click("#serve");
  await says(page, /medium than the one in use/);
  await page.click("#take-over");
  await says(page, /^Serving/);
  assert.is(JSON.parse(await keptBy(page)).name, "other.img");
  await stop(page);
});

chromium(
  "a second tab is a stranger: it takes over only when asked to, and nobody fights",
  async ({ scene }) => {
    const context = await scene.context(browser);
    const first = await scene.serve(context);
    const kept = await keptBy(first);
    const second = await scene.open(context);
    await says(second, /^No file chosen$/);
    await second.setInputFiles("#file", scene.image);
    await second.click("#serve");
    await says(second, /^In use since \d\d:\d\d by disk\.img/);
    assert.match(await stateOf(first), /^Serving/);
    assert.is(JSON.parse(await keptBy(first)).key, JSON.parse(kept).key);

    await second.click("#take-over");
    await says(first, /^Taken over/);
    await says(second, /^Serving/);
    await until("the key is the second one's", async () => {
      const now = await keptBy(second);
      return now !== "" && JSON.parse(now).key !== JSON.parse(kept).key;
    });
    // What is kept is the second one's now: it is that which goes on after a reload.
    await second.reload();
    await says(second, WAITING);
    await second.setInputFiles("#file", scene.image);
    await says(second, /^Serving/);
    assert.match(await stateOf(first), /^Taken over/);
    await stop(second);
  },
);

chromium("reloaded with nothing kept, it is a stranger, who may take over", async ({ scene }) => {
  const context = await scene.context(browser);
  const page = await scene.serve(context);
  await page.reload();
  await page.evaluate(() => localStorage.clear());
  await page.reload();
  await says(page, /^No file chosen$/);
  await page.setInputFiles("#file", scene.image);
  await page.click("#serve");
  await says(page, /^In use since \d\d:\d\d by disk\.img from 127\.0\.0\.1, lost for \d+ s$/);
  await page.click("#take-over");
  await says(page, /^Serving/);
  await until("the first session is over", () =>
    scene.gateway.stderr.includes("local: taken over by 127.0.0.1"),
  );
  await stop(page);
});

chromium(
  "a browser that keeps nothing serves, and its page comes back over a new link",
  async ({ scene }) => {
    const context = await scene.context(browser);
    await context.addInitScript(() => {
      const refuse = () => {
        throw new DOMException("no", "SecurityError");
      };
      Object.defineProperty(window, "localStorage", { get: refuse });
      Object.defineProperty(window, "indexedDB", { get: refuse });
      Object.defineProperty(navigator, "locks", {
        value: { request: () => Promise.reject(new Error("no")) },
      });
    });
    const page = await scene.serve(context);
    const copy = await scene.startCopy();
    scene.relay.cut();
    copy.goOn();
    await copy.isWhole();
    await stop(page);
  },
);

chromium("without locks, as over plain HTTP, the tabs ask each other", async ({ scene }) => {
  const context = await scene.context(browser);
  await context.addInitScript(() => Object.defineProperty(navigator, "locks", { value: undefined }));
  const first = await scene.serve(context);
  const second = await scene.open(context);
  await second.setInputFiles("#file", scene.image);
  await second.click("#serve");
  await says(second, /^In use since/);
  await first.close();
  await second.reload();
  await says(second, WAITING);
  await second.setInputFiles("#file", scene.image);
  await says(second, /^Serving/);
  await stop(second);
});

chromium(
  "a file that was changed while it was served: said, and the right bytes go on",
  async ({ scene }) => {
    const page = await scene.serve(await scene.context(browser));
    const copy = await scene.startCopy();
    await appendFile(scene.image, "more");
    scene.relay.cut();
    // The browser refuses to read it, so nothing can be said of what it is: that is tried again.
    await says(page, /^Connection lost/);
    await until("it says what is wrong", async () => /cannot be read/.test(await page.innerText("#detail")));
    copy.goOn();
    assert.match(scene.gateway.stderr, /the disk waits for it/);
  },
);

tests.run();
