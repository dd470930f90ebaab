/** A page whose link is lost, and which the gateway then wants a login from, or does not know any more. */
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../../browser.ts";
import { needing, program, suite, until } from "../../harness.ts";
import { PageScene } from "./page-scene.ts";

let browser: Browser;
const tests = suite<{ scene: PageScene }>("the login of a page that comes back");
const chromium = needing(tests, ["chromium", "nbdcopy"]);

tests.before(async () => {
  browser = await openChromium();
});
tests.after(() => browser?.close());
tests.before.each(async (context) => {
  context.scene = await new PageScene().start();
});
tests.after.each(({ scene }) => scene.end());

chromium(
  "the login has ended meanwhile: the page asks for it, and the session goes on",
  async ({ scene }) => {
    const page = await scene.serve(await scene.context(browser));
    const copy = await scene.startCopy();
    const tokenFile = scene.sandbox.path("token");
    await scene.sandbox.run(program("nbd-gateway"), ["--new-token", "--token-file", tokenFile]);
    scene.relay.cut();
    await page.isAsked("Your login has ended: log in again");
    await page.card().isLost();
    assert.ok(await page.card().isEnabled("stop"));
    copy.goOn();
    await page.logIn(await readFile(tokenFile, "utf8"));
    await page.card().says(/^Serving again/);
    assert.not(await page.isVisible("token"));
    await copy.isWhole();
    assert.is(scene.gateway.stderr.match(/local: the link is back/g)?.length, 1, scene.gateway.stderr);
    await page.card().stop();
  },
);

chromium(
  "the gateway was killed and started again: the page serves to it with the same login",
  async ({ scene }) => {
    const page = await scene.serve(await scene.context(browser));
    // Only who was ever asked for something comes back.
    const { port } = new URL(scene.gateway.stdout.trim());
    const first = await scene.startCopy();
    first.goOn();
    await first.isWhole();
    scene.gateway.kill("SIGKILL");
    await scene.gateway.exit;
    await page.card().isLost();
    await scene.startGateway(port);
    await page.card().says(/^Serving again/, 20_000);
    await until("the socket is there", () => existsSync(scene.socket));
    const copy = await scene.startCopy();
    copy.goOn();
    await copy.isWhole();
    await page.card().stop();
  },
);

tests.run();
