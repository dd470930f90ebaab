/** <nbd-media> in a page of somebody else's: the ten lines that the documents name. */
import { existsSync } from "node:fs";
import { copyFile, cp } from "node:fs/promises";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { gateway, parseConfig } from "../../src/node/index.ts";
import { openChromium } from "../browser.ts";
import { needing, root, Sandbox, suite, until } from "../harness.ts";
import { randomImage, sha256 } from "../image.ts";

const tests = suite<{ sandbox: Sandbox }>("a page of ten lines with <nbd-media>");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

const peers = needing(tests, ["chromium", "nbdcopy"]);

peers("a file that is chosen there is a disk, until it is ejected", async ({ sandbox }) => {
  const socket = sandbox.path("local.sock");
  const image = sandbox.path("image.img");
  const digest = await randomImage(image, 10_000_001);
  const folder = sandbox.path("pages");
  await cp(join(root, "dist/web/js"), join(folder, "js"), { recursive: true });
  await copyFile(join(root, "test/examples/media.html"), join(folder, "media.html"));
  const config = { configurations: { local: { listen: `unix:${socket}` } }, "state-hook": "/nowhere" };
  const running = await gateway({
    ...{
      config: parseConfig("config.json", JSON.stringify(config)),
      port: 0,
      staticFolder: folder,
      log() {},
    },
  });
  const browser = await openChromium();
  try {
    const page = await browser.newPage();
    const faults: string[] = [];
    page.on("pageerror", (error) => faults.push(String(error)));
    page.on("console", (message) => {
      // The browser asks for an icon, which ten lines do not have.
      const isIcon = message.location().url.endsWith("/favicon.ico");
      if (message.type() === "error" && !isIcon) faults.push(message.text());
    });
    await page.goto(new URL("media.html", running.url).href);
    // The property is the attribute.
    const lengths = await page.evaluate(`(() => {
      const media = document.querySelector("nbd-media");
      const before = media.maxMessage;
      media.maxMessage = 65536;
      return [before, media.getAttribute("max-message"), media.maxMessage];
    })()`);
    assert.equal(lengths, [undefined, "65536", 65536]);
    await page.setInputFiles("#file", image);
    await page.click("#serve");
    await until("the socket is there", () => existsSync(socket));
    const target = sandbox.path("copy");
    await sandbox.run("nbdcopy", [`nbd+unix:///?socket=${socket}`, target]);
    assert.is(await sha256(target), digest);
    const kind = () => page.getAttribute("#state", "data-state");
    await until("it says that it serves", async () => (await kind()) === "serving");
    await until("it says how much", async () =>
      (await page.innerText("#covered-text")).startsWith("100.0 %"),
    );
    await page.click("#stop");
    await until("it says that it is ejected", async () => (await kind()) === "stopped");
    await until("the socket is gone", () => !existsSync(socket));
    assert.equal(faults, []);
  } finally {
    await browser.close();
    await running.close();
  }
});

tests.run();
