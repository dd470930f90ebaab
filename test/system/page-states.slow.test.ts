import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import * as assert from "uvu/assert";
import { deferred } from "../../src/streams/deferred.ts";
import { openChromium, serve, stateOf, stop } from "../browser.ts";
import { needing, program, type Running, Sandbox, suite, until, within } from "../harness.ts";

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

/** Opens the page; its complaints, as about what the security policy forbids, are kept. */
async function open(options: BrowserContextOptions = {}): Promise<{ page: Page; complaints: string[] }> {
  browser ??= await openChromium();
  const page = await browser.newPage(options);
  const complaints: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(error.message));
  await page.goto(url);
  await says(page, "No file chosen");
  return { page, complaints };
}

async function says(page: Page, words: string) {
  await until(`the page says ${words}`, async () => (await stateOf(page)).startsWith(words));
}

async function chooseImage(page: Page) {
  await page.setInputFiles("#file", image);
  await says(page, "Ready to serve");
}

async function faults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    (window as unknown as { axe: { run(): Promise<axe.AxeResults> } }).axe.run(),
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

const chromium = needing(tests, ["chromium"]);

chromium("offers the configurations and marks the default one", async () => {
  const { page, complaints } = await open();
  assert.equal(await page.locator("#configuration option").allInnerTexts(), [
    "0: Virtual media device",
    "local: Unix socket (default)",
    "ü &=+,",
  ]);
  assert.is(await page.inputValue("#configuration"), "local");
  assert.is(await stateOf(page), "No file chosen");
  assert.not(await page.isEnabled("#serve"));

  await chooseImage(page);
  assert.is(await page.innerText("#file-size"), "1.2 MiB (1,234,567 bytes)");
  await page.selectOption("#configuration", "ü &=+,");
  await serve(page);
  await until("the chosen one is there", () => existsSync(sandbox.path("other.sock")));
  await stop(page);
  assert.equal(complaints, []);
  await page.close();
});

chromium("shows why it was refused", async () => {
  const { page } = await open();
  await page.setInputFiles("#file", image);
  await page.selectOption("#configuration", "0");
  await page.click("#serve");
  await until("the page says so", async () =>
    (await stateOf(page)).startsWith(
      'Failed: the other side closed the WebSocket: "the other machine has no place',
    ),
  );
  assert.match(await page.innerText("#log"), /has no place for the disk; its log says why/);

  const empty = sandbox.path("empty.img");
  await writeFile(empty, "");
  await page.setInputFiles("#file", empty);
  await page.selectOption("#configuration", "local");
  await page.click("#serve");
  await until(
    "the page says so",
    async () =>
      (await stateOf(page)) === 'Failed: the other side closed the WebSocket: "the export is empty, 0 bytes"',
  );
  await page.close();
});

chromium("works by keyboard alone", async () => {
  const { page } = await open();
  // Playwright sees the dialog of a field for files, and not the one whose files the page may remember.
  await page.addInitScript("delete globalThis.showOpenFilePicker");
  await page.reload();
  await says(page, "No file chosen");
  const focused = () => page.evaluate(() => document.activeElement?.id);
  // Before the key that opens it, by a turn to the page: else Chromium at times cancels the dialog by itself.
  const chooser = page.waitForEvent("filechooser");
  await page.keyboard.press("Tab");
  assert.is(await focused(), "file");
  await page.keyboard.press("Space");
  await (await chooser).setFiles(image);
  await page.keyboard.press("Tab");
  assert.is(await focused(), "configuration");
  await page.keyboard.press("Tab");
  assert.is(await focused(), "serve");
  await page.keyboard.press("Enter");
  await until("it serves", async () => (await stateOf(page)).startsWith("Serving"));
  assert.is(await focused(), "stop");
  await page.keyboard.press("Space");
  await until("it has ended", async () => (await stateOf(page)).startsWith("Ended"));
  assert.is(await focused(), "serve");
  await page.close();
});

chromium("takes a file that is dropped anywhere", async () => {
  const { page } = await open();
  await page.evaluate(() => {
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File(["dropped"], "dropped.img"));
    const carried = { dataTransfer, bubbles: true, cancelable: true };
    document.querySelector("h1")!.dispatchEvent(new DragEvent("dragover", carried));
    document.querySelector("h1")!.dispatchEvent(new DragEvent("drop", carried));
  });
  await says(page, "Ready to serve");
  assert.is(await page.innerText("#file-name"), "dropped.img");
  await page.close();
});

chromium("asks before a page that serves is left", async () => {
  const { page } = await open();
  await page.setInputFiles("#file", image);
  await serve(page);
  const asked = new Promise<string>((resolve) => {
    page.once("dialog", (dialog) => {
      resolve(dialog.type());
      dialog.dismiss();
    });
  });
  // The reload that was not allowed never ends.
  page.reload().catch(() => {});
  assert.is(await within(5000, "the question", asked), "beforeunload");
  assert.match(await stateOf(page), /^Serving/);
  await stop(page);
  await page.close();
});

for (const colorScheme of ["light", "dark"] as const) {
  chromium(`is accessible in every state, ${colorScheme}, and fits on a telephone`, async () => {
    const { page } = await open({ colorScheme, viewport: { width: 360, height: 740 } });
    const look = async (state: string) => {
      assert.match(await stateOf(page), new RegExp(`^${state}`));
      assert.equal(await faults(page), [], state);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 360, `${state}: ${width} pixels wide`);
    };
    await look("No file chosen");
    await chooseImage(page);
    await look("Ready");
    await serve(page);
    await look("Serving");
    await stop(page);
    await look("Ended");
    await page.selectOption("#configuration", "0");
    await page.click("#serve");
    await says(page, "Failed");
    await look("Failed");
    const gone = sandbox.path("gone.img");
    await writeFile(gone, "x");
    await page.setInputFiles("#file", gone);
    await says(page, "Ready");
    await rm(gone);
    await page.click("#serve");
    await says(page, "Cannot be read");
    await look("Cannot be read");
    await page.close();
  });

  for (const javaScriptEnabled of [true, false]) {
    const how = javaScriptEnabled ? "its script was refused" : "scripts are not allowed";
    chromium(
      `says that it does not start, and is accessible then, where ${how}, ${colorScheme}`,
      async () => {
        browser ??= await openChromium();
        const page = await browser.newPage({ colorScheme, javaScriptEnabled });
        await page.route("**/page.js", (route) => route.fulfill({ status: 403 }));
        await page.goto(url);
        if (javaScriptEnabled) {
          assert.is(await stateOf(page), "Starting…");
          assert.is((await page.locator("#late").boundingBox())?.height, 0);
          assert.equal(await faults(page), []);
          await until("it says more", async () => (await page.locator("#late").boundingBox())!.height > 0);
          assert.equal(await faults(page), []);
        } else {
          assert.match(await page.innerText(".status"), /^This page needs JavaScript: /);
          assert.not(await page.isVisible("#late"));
        }
        await page.close();
      },
    );
  }
}

chromium("is starting until it knows what may be chosen", async () => {
  browser ??= await openChromium();
  const page = await browser.newPage();
  const answer = deferred();
  await page.route("**/metadata", async (route) => {
    await answer.promise;
    await route.fulfill({
      json: { "a/b": { description: "A" }, c: null },
      headers: { "Default-Configuration": "c", Places: "a%2Fb=%2Frun%2Fx%20%2C%3D.sock, c=%2Fdev%2Fnbd0" },
    });
  });
  await page.goto(url);
  await page.setInputFiles("#file", image);
  await until("the file is known", async () => (await page.innerText("#file-name")) !== "");
  assert.is(await stateOf(page), "Starting…");
  assert.not(await page.isEnabled("#serve"));
  assert.not(await page.isVisible("#late"));
  answer.resolve();
  await says(page, "Ready to serve");
  assert.ok(await page.isEnabled("#serve"));

  assert.is(await page.innerText("#place"), "Its place on the other machine: /dev/nbd0");
  await page.selectOption("#configuration", "a/b");
  assert.is(await page.innerText("#place"), "Its place on the other machine: /run/x ,=.sock");
  assert.equal(await faults(page), []);
  await page.close();
});

chromium("says nothing of where the disk is when it is not told", async () => {
  browser ??= await openChromium();
  for (const Places of ["", "%", "local", "local=", "=x", "other=x"]) {
    const page = await browser.newPage();
    await page.route("**/metadata", (route) =>
      route.fulfill({ json: { local: null, other: null }, headers: { Places } }),
    );
    await page.goto(url);
    await says(page, "No file chosen");
    assert.is(await page.locator("#configuration option").count(), 2);
    assert.not(await page.isVisible("#place"), Places);
    await page.close();
  }
});

chromium("speaks when the state changes, and not when a number does", async () => {
  const { page } = await open();
  await page.evaluate(() => {
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
  await serve(page);
  await until("the socket is there", () => existsSync(socket));
  const uri = `nbd+unix:///?socket=${socket}`;
  for (const end of [1000, 1_200_000]) {
    const before = await page.innerText("#bytes");
    await sandbox.run("nbdsh", ["-u", uri, "-c", `h.pread(512, ${end})`]);
    await until("the number grows", async () => (await page.innerText("#bytes")) !== before);
  }
  await stop(page);
  assert.equal(await page.evaluate(() => (window as unknown as { spoken: string[] }).spoken), [
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
    const { page } = await open();
    const session = await page.context().newCDPSession(page);
    /** What a screen reader is told. */
    const field = async () => {
      const { root } = await session.send("DOM.getDocument");
      const { nodeId } = await session.send("DOM.querySelector", { nodeId: root.nodeId, selector: "#file" });
      const { nodes } = await session.send("Accessibility.getPartialAXTree", {
        nodeId,
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
