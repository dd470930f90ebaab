import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Browser, BrowserContextOptions } from "playwright-core";
import * as assert from "uvu/assert";
import { deferred } from "../../src/streams/deferred.ts";
import { openChromium } from "../browser.ts";
import { needing, program, type Running, Sandbox, suite, until } from "../harness.ts";
import { type ChromiumPage, openPage } from "../page/open.ts";

/* What a person sees on the page, and how they get along with it. */
const tests = suite("what the page shows");

let sandbox: Sandbox;
let gateway: Running;
let url: string;
let browser: Browser | undefined;
let image: string;
let socket: string;

tests.before(async () => {
  sandbox = new Sandbox();
  socket = sandbox.path("local.sock");
  image = sandbox.path("a long name of an image without-any-place-where-it-would-break-12.11.0.iso");
  await writeFile(image, new Uint8Array(1_234_567));
  const config = sandbox.path("config.json");
  const configurations = {
    "0": { "nbd-device": "/dev/null", metadata: { description: "Virtual media device" } },
    local: { listen: `unix:${socket}`, default: true, metadata: { description: "Unix socket" } },
    "ü &=+,": { listen: `unix:${sandbox.path("other.sock")}` },
  };
  await writeFile(config, JSON.stringify({ configurations, "state-hook": "/nowhere" }));
  gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
  await until("the gateway's URL", () => gateway.stdout.endsWith("\n"));
  url = gateway.stdout.trim();
});

tests.after(async () => {
  await browser?.close();
  await sandbox.end();
});

/** A browser of somebody who has not been there before. */
async function newContext(options: BrowserContextOptions = {}) {
  browser ??= await openChromium();
  return browser.newContext(options);
}

/** Opens the page there. */
async function open(
  options: BrowserContextOptions = {},
  before: () => void = () => {},
): Promise<ChromiumPage> {
  const context = await newContext(options);
  await context.addInitScript(before);
  const page = await openPage(context, url);
  await page.card().is("free");
  return page;
}

async function chooseImage(page: ChromiumPage) {
  await page.card().choose(image);
  await page.card().is("ready");
}

const chromium = needing(tests, ["chromium"]);

chromium("offers the configurations and marks the default one", async () => {
  const page = await open();
  assert.equal(await page.tab.page.locator("#configuration option").allInnerTexts(), [
    "0: Virtual media device",
    "local: Unix socket (default)",
    "ü &=+,",
  ]);
  assert.is(await page.tab.page.inputValue("#configuration"), "local");
  assert.is(await page.card().state(), "No file chosen");
  assert.not(await page.card().isEnabled("serve"));

  await chooseImage(page);
  assert.is(await page.card().textOf("file-size"), "1.2 MiB (1,234,567 bytes)");
  const other = page.card("ü &=+,");
  await other.choose(image);
  await other.serve();
  await until("the chosen one is there", () => existsSync(sandbox.path("other.sock")));
  await other.stop();
  await page.isQuiet();
  await page.close();
});

chromium("shows why it was refused", async () => {
  const page = await open();
  const device = page.card("0");
  await device.choose(image);
  await device.click("serve");
  await device.says(/^Failed: the other side closed the WebSocket: "the other machine has no place/);
  assert.match(await device.textOf("log"), /has no place for the disk; its log says why/);

  const empty = sandbox.path("empty.img");
  await writeFile(empty, "");
  const local = page.card("local");
  await local.choose(empty);
  await local.click("serve");
  await local.says('Failed: the other side closed the WebSocket: "the export is empty, 0 bytes"');
  await page.close();
});

chromium("works by keyboard alone", async () => {
  // Chromium's newer dialog cannot be answered from outside.
  const page = await open({}, () => Reflect.deleteProperty(window, "showOpenFilePicker"));
  // Before the key that opens it, by a turn to the page: else Chromium at times cancels the dialog by itself.
  const chooser = page.tab.page.waitForEvent("filechooser");
  await page.tab.press("Tab");
  assert.is(await page.focused(), "file");
  await page.tab.press("Space");
  await (await chooser).setFiles(image);
  await page.tab.press("Tab");
  assert.is(await page.focused(), "configuration");
  await page.tab.press("Tab");
  assert.is(await page.focused(), "serve");
  await page.tab.press("Enter");
  await page.card().isServing();
  assert.is(await page.focused(), "stop");
  await page.tab.press("Space");
  await page.card().is("stopped");
  assert.is(await page.focused(), "serve");
  await page.close();
});

chromium("takes a file that is dropped anywhere", async () => {
  const page = await open();
  await page.tab.page.evaluate(() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["dropped"], "dropped.img"));
    const carried = { dataTransfer, bubbles: true, cancelable: true };
    document.querySelector("h1")!.dispatchEvent(new DragEvent("dragover", carried));
    document.querySelector("h1")!.dispatchEvent(new DragEvent("drop", carried));
  });
  await page.card().is("ready");
  assert.is(await page.card().textOf("file-name"), "dropped.img");
  await page.close();
});

chromium("asks before a page that serves is left", async () => {
  const page = await open();
  await page.card().choose(image);
  await page.card().serve();
  page.tab.isStaying = true;
  // The reload that was not allowed never ends.
  page.reload().catch(() => {});
  await until("it asks", () => page.tab.asked.length > 0);
  assert.equal(page.tab.asked, ["beforeunload"]);
  assert.match(await page.card().state(), /^Serving/);
  await page.card().stop();
  await page.close();
});

for (const colorScheme of ["light", "dark"] as const) {
  chromium(`is accessible in every state, ${colorScheme}, and fits on a telephone`, async () => {
    const page = await open({ colorScheme, viewport: { width: 360, height: 740 } });
    const look = async (state: string) => {
      assert.match(await page.card().state(), new RegExp(`^${state}`));
      assert.equal(await page.faults(), [], state);
      assert.is(await page.overflow(), 0, `${state}: pixels that do not fit`);
    };
    await look("No file chosen");
    await chooseImage(page);
    await look("Ready");
    await page.card().serve();
    await look("Serving");
    await page.card().stop();
    await look("Ended");
    const device = page.card("0");
    await device.choose(image);
    await device.click("serve");
    await device.is("failed");
    await look("Failed");
    const gone = sandbox.path("gone.img");
    await writeFile(gone, "x");
    await page.card().choose(gone);
    await page.card().is("ready");
    await rm(gone);
    await page.card().click("serve");
    await page.card().is("bad-file");
    await look("Cannot be read");
    await page.close();
  });

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? "its script was refused" : "scripts are not allowed";
    chromium(
      `says that it does not start, and is accessible then, where ${how}, ${colorScheme}`,
      async () => {
        const context = await newContext({ colorScheme, javaScriptEnabled });
        await context.route("**/page.js", (route) => route.fulfill({ status: 403 }));
        const page = await openPage(context, url);
        if (javaScriptEnabled) {
          assert.is(await page.card().state(), "Starting…");
          assert.is((await page.tab.page.locator("#late").boundingBox())?.height, 0);
          assert.equal(await page.faults(), []);
          await until(
            "it says more",
            async () => (await page.tab.page.locator("#late").boundingBox())!.height > 0,
          );
          assert.equal(await page.faults(), []);
        } else {
          assert.match(await page.tab.page.innerText(".status"), /^This page needs JavaScript: /);
          assert.not(await page.tab.page.isVisible("#late"));
        }
        await page.close();
      },
    );
  }
}

chromium("is starting until it knows what may be chosen", async () => {
  const context = await newContext();
  const answer = deferred();
  await context.route("**/metadata", async (route) => {
    await answer.promise;
    await route.fulfill({
      json: { "a/b": { description: "A" }, c: null },
      headers: { "Default-Configuration": "c", Places: "a%2Fb=%2Frun%2Fx%20%2C%3D.sock, c=%2Fdev%2Fnbd0" },
    });
  });
  const page = await openPage(context, url, image);
  await until("the file is known", async () => (await page.card().textOf("file-name")) !== "");
  assert.is(await page.card().state(), "Starting…");
  assert.not(await page.card().isEnabled("serve"));
  assert.not(await page.tab.page.isVisible("#late"));
  answer.resolve();
  await page.card().is("ready");
  assert.ok(await page.card().isEnabled("serve"));

  assert.is(await page.tab.page.innerText("#place"), "Its place on the other machine: /dev/nbd0");
  assert.ok(await page.card("a/b").isEnabled("serve"));
  assert.is(await page.tab.page.innerText("#place"), "Its place on the other machine: /run/x ,=.sock");
  assert.equal(await page.faults(), []);
  await page.close();
});

chromium("says nothing of where the disk is when it is not told", async () => {
  for (const Places of ["", "%", "local", "local=", "=x", "other=x"]) {
    const context = await newContext();
    await context.route("**/metadata", (route) =>
      route.fulfill({ json: { local: null, other: null }, headers: { Places } }),
    );
    const page = await openPage(context, url);
    await page.card().is("free");
    assert.is((await page.cards()).length, 2);
    assert.not(await page.tab.page.isVisible("#place"), Places);
    await page.close();
  }
});

chromium("speaks when the state changes, and not when a number does", async () => {
  const page = await open();
  await page.tab.page.evaluate(() => {
    const spoken: string[] = [];
    Object.assign(window, { spoken });
    const live = "output, [role=status], [role=alert], [role=log], [role=timer], [aria-live]";
    const observer = new MutationObserver((changes) => {
      for (const { target } of changes) {
        const element = target instanceof Element ? target : target.parentElement;
        const region = element?.closest(live);
        if (region) spoken.push(region.textContent);
      }
    });
    observer.observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await chooseImage(page);
  await page.card().serve();
  await until("the socket is there", () => existsSync(socket));
  const uri = `nbd+unix:///?socket=${socket}`;
  for (const end of [1000, 1_200_000]) {
    const before = await page.card().textOf("bytes");
    await sandbox.run("nbdsh", ["-u", uri, "-c", `h.pread(512, ${end})`]);
    await until("the number grows", async () => (await page.card().textOf("bytes")) !== before);
  }
  await page.card().stop();
  assert.equal(await page.tab.page.evaluate(() => (window as unknown as { spoken: string[] }).spoken), [
    "Ready to serve",
    "Connecting…",
    "Connected, waiting for the other machine…",
    "Serving: the other machine can read the disk",
    "Ended: the other machine no longer has the disk",
  ]);
  await page.close();
});

chromium(
  "calls the field the same before and after a file was chosen, and tells the file's name",
  async () => {
    const page = await open();
    const session = await page.tab.session();
    /** What a screen reader is told. */
    const field = async () => {
      const { result } = await session.send("Runtime.evaluate", { expression: page.card().part("file") });
      const { nodes } = await session.send("Accessibility.getPartialAXTree", {
        objectId: result.objectId!,
        fetchRelatives: false,
      });
      return { name: nodes[0]?.name?.value, description: nodes[0]?.description?.value };
    };
    const name = "Choose a disk image, or drop one here";
    assert.equal(await field(), { name, description: "ISO, IMG or any other file; it is only read" });
    await chooseImage(page);
    const { name: after, description } = await field();
    assert.is(after, `${name} ${basename(image)}`);
    assert.is(description, "1.2 MiB (1,234,567 bytes)");
    await page.close();
  },
);

tests.run();
