import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import axe from "axe-core";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../browser.ts";
import { needing, root, suite } from "../harness.ts";
import { GalleryPage } from "../web/media/gallery-page.ts";
import type { SceneName } from "../web/media/scenes.ts";

/* How <nbd-media> looks in each state, to those who see it and to those who do not. */
const tests = suite("the looks of <nbd-media>");
const chromium = needing(tests, ["chromium"]);

/** For those who look at them, and not in git. */
const PICTURES = join(root, "pictures", "element");

let browser: Browser;
let gallery: GalleryPage;
let names: readonly SceneName[];

tests.before(async () => {
  await mkdir(PICTURES, { recursive: true });
  browser = await openChromium();
  gallery = await GalleryPage.open(browser);
  await gallery.page.evaluate(axe.source);
  names = await gallery.page.evaluate(() => window.gallery.names);
});
tests.after(async () => {
  await gallery?.end();
  await browser?.close();
});

async function faults(): Promise<string[]> {
  const { violations } = (await gallery.page.evaluate("axe.run()")) as axe.AxeResults;
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

for (const colorScheme of ["light", "dark"] as const) {
  for (const width of [360, 1400]) {
    chromium(`is accessible, and fits, in each state, ${colorScheme}, ${width} pixels`, async () => {
      const { page } = gallery;
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 900 });
      const found: string[] = [];
      for (const name of names) {
        await gallery.show(name, width === 360 ? "de" : "en");
        await page.screenshot({
          path: join(PICTURES, `${name}-${colorScheme}-${width}.png`),
          fullPage: true,
        });
        found.push(...(await faults()).map((fault) => `${name}: ${fault}`));
        const { scrollWidth } = await page.evaluate(() => ({
          scrollWidth: document.documentElement.scrollWidth,
        }));
        if (scrollWidth > width) found.push(`${name}: ${scrollWidth} pixels wide`);
      }
      assert.equal(found, []);
      await gallery.isQuiet();
    });
  }
}

chromium("at 200 % and with forced colours all of it is there", async () => {
  const { page } = gallery;
  await page.emulateMedia({ forcedColors: "active", reducedMotion: "reduce" });
  await page.setViewportSize({ width: 640, height: 500 });
  await page.evaluate(() => document.documentElement.style.setProperty("font-size", "200%"));
  for (const name of ["held-with-file", "serving", "unreadable"] as const) {
    await gallery.show(name);
    await page.screenshot({ path: join(PICTURES, `${name}-forced-200.png`), fullPage: true });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 640, `${name}: ${width} pixels wide`);
  }
  await page.evaluate(() => document.documentElement.style.setProperty("font-size", ""));
  await page.emulateMedia({ forcedColors: "none", reducedMotion: "no-preference" });
});

tests.run();
