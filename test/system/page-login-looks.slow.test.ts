import * as assert from "uvu/assert";
import { suite } from "../harness.ts";
import { BUSY, inChromium, WRONG } from "./login-scene.ts";

/* How the page looks while it logs in, to those who see it and to those who do not. */
const tests = suite("the looks of the page's login");

const { chromium, withGateway } = inChromium(tests);

for (const colorScheme of ["light", "dark"] as const) {
  chromium(`is accessible, by keyboard too, and fits on a telephone, ${colorScheme}`, async () => {
    const contextOptions = { colorScheme, viewport: { width: 360, height: 740 } };
    await withGateway({ contextOptions }, async ({ gateway, file, open }) => {
      const page = await open();
      const look = async (what: string) => {
        assert.equal(await page.faults(), [], what);
        assert.is(await page.overflow(), 0, `${what}: pixels that do not fit`);
      };
      await page.isAsked("");
      await look("the field");
      await page.tab.page.keyboard.type("wrong");
      assert.is(await page.tab.page.getAttribute("#token", "type"), "password");
      await page.tab.page.keyboard.press("Tab");
      await page.tab.page.keyboard.press("Space");
      assert.is(await page.tab.page.getAttribute("#token", "type"), "text");
      assert.is(await page.tab.page.getAttribute("#show-token", "aria-pressed"), "true");
      assert.is(await page.tab.page.getAttribute("#token", "autocomplete"), "off");
      await page.tab.page.keyboard.press("Tab");
      await page.tab.page.keyboard.press("Enter");
      await page.isAsked(WRONG);
      await look("a wrong token");
      await page.logIn(gateway.token);
      await page.card("b").choose(file);
      await page.card("b").is("ready");
      await look("logged in");
      gateway.onWebSocket = (socket) => socket.close(4002, BUSY);
      await page.card("b").click("serve");
      await page.card("b").is("in-use");
      await look("in use");
      gateway.onWebSocket = (socket) => socket.close(4001, "taken over by 10.9.0.3");
      await page.card("b").click("take-over");
      await page.card("b").is("taken-over");
      await look("taken over");
    });
  });
}

tests.run();
