/** The page in Firefox goes on after a reload, and says what it can of a file that was changed. */
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import * as assert from "uvu/assert";
import { needing, suite, until } from "../../harness.ts";
import { startFirefox } from "../../page/firefox.ts";
import { GatewayScene } from "../../page/gateway-scene.ts";
import { MediaPage } from "../../page/media-page.ts";
import type { Browser } from "../../page/tab.ts";

let browser: Browser;
const tests = suite<{ scene: GatewayScene }>("the page in Firefox goes on");
const firefox = needing(tests, ["firefox-esr", "nbdcopy"]);

tests.before(async () => {
  browser = await startFirefox();
});
tests.after(() => browser?.close());
tests.before.each(async (context) => {
  context.scene = await new GatewayScene().start();
});
tests.after.each(({ scene }) => scene.end());

async function newPage(scene: GatewayScene): Promise<MediaPage> {
  return MediaPage.open(await browser.newTab(), scene.address);
}

async function serve(scene: GatewayScene): Promise<MediaPage> {
  const page = await newPage(scene);
  await page.card().is("free");
  await page.card().choose(scene.image);
  await page.card().is("ready");
  await page.card().serve();
  await until("the socket is there", () => existsSync(scene.socket));
  return page;
}

firefox("reloaded, it goes on by itself, as Firefox keeps the file in its field", async ({ scene }) => {
  const page = await serve(scene);
  const copy = await scene.startCopy();
  await page.reload();
  copy.goOn();
  await page.card().isServing();
  await copy.isWhole();
  await page.card().stop();
  await page.close();
});

firefox("in a new tab, and the file chosen again: the reader notices a pause only", async ({ scene }) => {
  const first = await serve(scene);
  const copy = await scene.startCopy();
  await first.close();
  const page = await newPage(scene);
  await page
    .card()
    .says(/^The other machine waits for disk\.img\. .* until \d\d:\d\d\. Choose the same file again/);
  copy.goOn();
  await page.card().choose(scene.image);
  await page.card().isServing();
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
    await page.card().isLost();
    const file = await open(scene.image, "r+");
    const { mtimeMs } = await file.stat();
    const before = Buffer.alloc(4096);
    await file.read(before, 0, before.byteLength, 0);
    await file.write(Buffer.alloc(4096, 1), 0, 4096, 0);
    scene.relay.isDown = false;
    await page.card().says(/the file was changed since it was chosen.*\. Choose disk\.img, or /);
    assert.match(scene.gateway.stderr, /a new link was refused: /);

    await file.write(before, 0, before.byteLength, 0);
    // The same millisecond.
    const time = (Math.floor(mtimeMs) + 0.5) / 1000;
    await file.utimes(time, time);
    await file.close();
    copy.goOn();
    await page.card().choose(scene.image);
    await page.card().isServing();
    await copy.isWhole();
    await page.close();
  },
);

tests.run();
