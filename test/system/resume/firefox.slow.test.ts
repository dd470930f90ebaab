/** The page in Firefox goes on after a reload, and says what it can of a file that was changed. */
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { type Browser, launch, type Page } from "puppeteer-core";
import * as assert from "uvu/assert";
import { needing, suite, until } from "../../harness.ts";
import { PageScene } from "./page-scene.ts";

let browser: Browser;
const tests = suite<{ scene: PageScene }>("the page in Firefox goes on");
const firefox = needing(tests, ["firefox-esr", "nbdcopy"]);

tests.before(async () => {
  const executablePath = "/usr/bin/firefox-esr";
  browser = await launch({ browser: "firefox", executablePath, headless: true });
});
tests.after(() => browser?.close());
tests.before.each(async (context) => {
  context.scene = await new PageScene().start();
});
tests.after.each(({ scene }) => scene.end());

async function says(page: Page, words: RegExp) {
  let said = "";
  const isSaid = async () => {
    said = await page.$eval("#state", (element) => element.textContent ?? "");
    return words.test(said);
  };
  await until(`the page says ${words}`, isSaid, 20_000).catch((error: Error) => {
    throw new Error(`${error.message}, but: ${said}`);
  });
}

/** Chooses a file, and not for a second time: a click forgets the one before. */
async function choose(page: Page, file: string) {
  const input = await page.$("input#file");
  await input!.evaluate((element) => {
    (element as HTMLInputElement).value = "";
  });
  await input!.uploadFile(file);
}

async function serve(scene: PageScene): Promise<Page> {
  const page = await browser.newPage();
  page.on("dialog", (dialog) => void dialog.accept());
  await page.goto(`${scene.url}#${scene.token}`);
  await says(page, /^No file chosen$/);
  await choose(page, scene.image);
  await says(page, /^Ready to serve$/);
  await page.click("#serve");
  await says(page, /^Serving/);
  await until("the socket is there", () => existsSync(scene.socket));
  return page;
}

firefox("reloaded, it goes on by itself, as Firefox keeps the file in its field", async ({ scene }) => {
  const page = await serve(scene);
  const copy = await scene.startCopy();
  await page.reload();
  copy.goOn();
  await says(page, /^Serving/);
  await copy.isWhole();
  await page.click("#stop");
  await says(page, /^Ended/);
  await page.close();
});

firefox("in a new tab, and the file chosen again: the reader notices a pause only", async ({ scene }) => {
  const first = await serve(scene);
  const copy = await scene.startCopy();
  await first.close();
  const page = await browser.newPage();
  await page.goto(`${scene.url}#${scene.token}`);
  await says(page, /^Choose disk\.img again to go on: the disk waits until \d\d:\d\d$/);
  copy.goOn();
  await choose(page, scene.image);
  await says(page, /^Serving/);
  await copy.isWhole();
  await page.close();
});

// Firefox reads the new bytes, while size and time of what was chosen stay the old ones.
firefox(
  "the file was changed while the link was lost: said, and the disk waits for the right one",
  async ({ scene }) => {
    const page = await serve(scene);
    const copy = await scene.startCopy();
    scene.relay.isDown = true;
    scene.relay.cut();
    await says(page, /^Connection lost/);
    const file = await open(scene.image, "r+");
    const { mtimeMs } = await file.stat();
    const before = Buffer.alloc(4096);
    await file.read(before, 0, before.byteLength, 0);
    await file.write(Buffer.alloc(4096, 1), 0, 4096, 0);
    scene.relay.isDown = false;
    await says(page, /the file was changed since it was chosen.*\. Choose disk\.img again/);
    assert.match(scene.gateway.stderr, /a new link was refused: /);

    await file.write(before, 0, before.byteLength, 0);
    // The same millisecond.
    const time = (Math.floor(mtimeMs) + 0.5) / 1000;
    await file.utimes(time, time);
    await file.close();
    copy.goOn();
    await choose(page, scene.image);
    await says(page, /^Serving/);
    await copy.isWhole();
    await page.close();
  },
);

tests.run();
