import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import axe from "axe-core";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import * as assert from "uvu/assert";
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
    "ü/?": { listen: `unix:${sandbox.path("other.sock")}` },
  };
  await writeFile(config, JSON.stringify({ configurations, "state-hook": "/nowhere" }));
  gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0"]);
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
  await page.waitForSelector("#configuration");
  return { page, complaints };
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
    "ü/?",
  ]);
  assert.is(await page.inputValue("#configuration"), "local");
  assert.is(await stateOf(page), "No file chosen");
  assert.not(await page.isEnabled("#serve"));

  await page.setInputFiles("#file", image);
  assert.is(await page.innerText("#file-size"), "1.2 MiB (1,234,567 bytes)");
  assert.is(await stateOf(page), "Ready to serve");
  await page.selectOption("#configuration", "ü/?");
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
  assert.is(await page.innerText("#file-name"), "dropped.img");
  assert.is(await stateOf(page), "Ready to serve");
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
    await page.setInputFiles("#file", image);
    await look("Ready");
    await serve(page);
    await look("Serving");
    await stop(page);
    await look("Ended");
    await page.selectOption("#configuration", "0");
    await page.click("#serve");
    await until("it has failed", async () => (await stateOf(page)).startsWith("Failed"));
    await look("Failed");
    await page.close();
  });
}

tests.run();
