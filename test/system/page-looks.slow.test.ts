/** How the page looks in its main states: to those who do not see it well, at 360 pixels and 1,400, light and dark. */
import { mkdir, rename } from "node:fs/promises";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../browser.ts";
import { needing, root, suite } from "../harness.ts";
import { GatewayScene } from "../page/gateway-scene.ts";
import { type ChromiumPage, openPage } from "../page/open.ts";

/** Where the pictures are: for those who look at them, and not in git. */
const PICTURES = join(root, "pictures", "page");
const WIDTHS = [360, 1400];
const SCHEMES = ["light", "dark"] as const;

const tests = suite<{ scene: GatewayScene }>("the looks of the page");
const chromium = needing(tests, ["chromium", "nbdcopy"]);

let browser: Browser;

tests.before(async () => {
  await mkdir(PICTURES, { recursive: true });
  browser = await openChromium();
});
tests.after(() => browser?.close());
tests.before.each(async (context) => {
  context.scene = await new GatewayScene({ names: ["cd", "usb"] }).start();
});
tests.after.each(({ scene }) => scene.end());

/** Looks at the page at each width and in each scheme, and leaves a picture of each. */
async function look(page: ChromiumPage, name: string): Promise<void> {
  for (const colorScheme of SCHEMES) {
    await page.tab.page.emulateMedia({ colorScheme });
    for (const width of WIDTHS) {
      await page.tab.resize(width, 900);
      const how = `${name}, ${colorScheme}, ${width} pixels`;
      await page.tab.picture(join(PICTURES, `${name}-${colorScheme}-${width}.png`));
      // Colours depend on the scheme, what is where on the width: each is looked through once.
      if ((colorScheme === "light") === (width === WIDTHS[0])) assert.equal(await page.faults(), [], how);
      assert.is(await page.overflow(), 0, `${how}: pixels that do not fit`);
    }
  }
  await page.isQuiet();
}

chromium("in each main state", async ({ scene }) => {
  const context = await browser.newContext();
  const page = await openPage(context, scene.url);
  await page.isAsked("");
  await look(page, "login");
  await page.logIn("wrong");
  await page.isAsked(/./);
  await look(page, "login-wrong");
  await page.logIn(scene.token!);
  const card = page.card("cd");
  await card.is("free");
  await look(page, "free");
  await card.choose(scene.image);
  await card.is("ready");
  await look(page, "ready");
  await card.serve();
  const copy = await scene.startCopy();
  await look(page, "serving");

  const other = await openPage(context, scene.url);
  await other.logIn(scene.token!);
  const second = other.card("cd");
  await second.choose(scene.image);
  await second.isInUse();
  await look(other, "in-use");

  scene.relay.isDown = true;
  scene.relay.cut();
  await card.isLost();
  await look(page, "lost");
  scene.relay.isDown = false;
  copy.goOn();
  await card.isServing(20_000);
  await copy.isWhole();
  await card.is("serving");
  await look(page, "serving-again");

  const aside = scene.sandbox.path("aside.img");
  await rename(scene.image, aside);
  const reader = scene.sandbox.start("nbdcopy", [`nbd+unix:///?socket=${scene.socket}`, "null:"]);
  assert.is.not(await reader.exit, 0);
  await card.is("unreadable");
  await look(page, "unreadable");
  await rename(aside, scene.image);
  await card.isServing();

  await second.click("take-over");
  await card.is("taken-over");
  await look(page, "taken-over");
  await second.isServing();
  await other.reload();
  await second.is("interrupted");
  await look(other, "interrupted");
  await second.choose(scene.image);
  await second.isServing();
  await second.stop();
  await look(other, "stopped");
  await context.close();
});

tests.run();
