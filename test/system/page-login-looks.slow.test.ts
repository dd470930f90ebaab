import axe from "axe-core";
import type { Page } from "playwright-core";
import * as assert from "uvu/assert";
import { suite } from "../harness.ts";
import { BUSY, file, give, inChromium, isAsked, says, WRONG } from "./login-scene.ts";

/* How the page looks while it logs in, to those who see it and to those who do not. */
const tests = suite("the looks of the page's login");

const { chromium, withGateway } = inChromium(tests);

async function faults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    (window as unknown as { axe: { run(): Promise<axe.AxeResults> } }).axe.run(),
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

for (const colorScheme of ["light", "dark"] as const) {
  chromium(`is accessible, by keyboard too, and fits on a telephone, ${colorScheme}`, async () => {
    const contextOptions = { colorScheme, viewport: { width: 360, height: 740 } };
    await withGateway({ contextOptions }, async ({ gateway, open }) => {
      const page = await open();
      const look = async (what: string) => {
        assert.equal(await faults(page), [], what);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 360, `${what}: ${width} pixels wide`);
      };
      await isAsked(page, "");
      await look("the field");
      await page.keyboard.type("wrong");
      assert.is(await page.getAttribute("#token", "type"), "password");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Space");
      assert.is(await page.getAttribute("#token", "type"), "text");
      assert.is(await page.getAttribute("#show-token", "aria-pressed"), "true");
      assert.is(await page.getAttribute("#token", "autocomplete"), "off");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await isAsked(page, WRONG);
      await look("a wrong token");
      await give(page, gateway.token);
      await page.setInputFiles("#file", file);
      await says(page, "Ready to serve");
      await look("logged in");
      gateway.onWebSocket = (socket) => socket.close(4002, BUSY);
      await page.click("#serve");
      await says(page, /^In use/);
      await look("in use");
      gateway.onWebSocket = (socket) => socket.close(4001, "taken over by 10.9.0.3");
      await page.click("#take-over");
      await says(page, /^Taken over/);
      await look("taken over");
    });
  });
}

tests.run();
