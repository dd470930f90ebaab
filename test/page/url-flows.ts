/** What people do on the page with the address of an image, for each browser in a suite of its own. */
import { readFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { WebServer } from "../export/http/web-server.ts";
import { needing, suite, until } from "../harness.ts";
import { GatewayScene } from "./gateway-scene.ts";
import { MediaPage } from "./media-page.ts";
import type { Browser } from "./tab.ts";

/** By which a server lets pages of other origins read. */
const CORS = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "Content-Range, ETag",
};

interface Context {
  scene: GatewayScene;
  /** Of another origin than the page. */
  web: WebServer;
  page: MediaPage;
}

export function urlFlows(
  name: string,
  { programs, start }: { programs: string[]; start(): Promise<Browser> },
): { run(): void } {
  let browser: Browser | undefined;
  const tests = suite<Context>(`the page with an address, in ${name}`);
  const flow = needing(tests, [...programs, "nbdcopy"]);

  tests.before.each(async (context) => {
    browser ??= await start();
    context.scene = await new GatewayScene().start();
    context.web = await WebServer.start();
    context.web.image = new Uint8Array(await readFile(context.scene.image));
    context.web.validators = { etag: '"one"', ...CORS };
    context.page = await MediaPage.open(await browser.newTab(), context.scene.address);
  });
  tests.after.each(async ({ scene, web, page }) => {
    await page?.close().catch(() => {});
    await scene.end();
    await web?.close();
  });
  tests.after(() => browser?.close());

  flow("from another origin, by the keyboard alone: every byte is served", async ({ scene, web, page }) => {
    const card = page.card();
    await card.is("free");
    await card.giveAddress(`${web.url}?signature=secret`);
    await card.is("ready");
    assert.is(await card.textOf("file-name"), "disk.iso");
    assert.match(await card.textOf("file-size"), new RegExp(`from 127\\.0\\.0\\.1:${web.port}$`));
    await until("it can be served", () => card.isEnabled("serve"));
    await page.isQuiet();
    await card.focus("serve");
    await page.tab.press("Enter");
    await card.isServing();
    const copy = await scene.startCopy();
    copy.goOn();
    await copy.isWhole();
    await card.is("serving");
    await page.isQuiet();
    assert.not.match(await page.text(), /secret/, "no secret of the address is shown or logged");
    await card.stop();
    await scene.isDetached();
  });

  flow(
    "a server that does not let the page read is named, with the header that is missing",
    async ({ web, page }) => {
      const card = page.card();
      await card.is("free");
      web.validators = { etag: '"one"' };
      await card.giveAddress(web.url);
      const origin = new URL(await page.tab.evaluate<string>("location.href")).origin;
      await card.is("bad-url");
      await card.says(
        new RegExp(`"Access-Control-Allow-Origin: ${origin}".*Have the server send this header`),
      );
      assert.is(await card.isEnabled("serve"), false);
      web.validators = { etag: '"one"', "access-control-allow-origin": "*" };
      await card.click("use-url");
      await card.says(/"Access-Control-Expose-Headers: Content-Range, ETag"/);
      web.validators = { etag: '"one"', ...CORS };
      await card.click("use-url");
      await card.is("ready");
      assert.equal(await page.violations(), []);
    },
  );

  flow("after a reload it goes on by itself, and whoever read waits for it", async ({ scene, web, page }) => {
    const card = page.card();
    await card.is("free");
    await card.giveAddress(web.url);
    await until("it can be served", () => card.isEnabled("serve"));
    await card.serve();
    const copy = await scene.startCopy();
    await page.reload();
    await card.isServing();
    copy.goOn();
    await copy.isWhole();
    await card.stop();
    await scene.isDetached();
    assert.is(
      await page.tab.evaluate("Object.values(localStorage).join().includes('disk.iso')"),
      false,
      "after an end in order the browser keeps nothing of the address",
    );
  });

  return tests;
}
