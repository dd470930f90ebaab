import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Browser, BrowserContext, BrowserContextOptions } from "playwright-core";
import * as assert from "uvu/assert";
import { deferred } from "../../src/streams/deferred.ts";
import { openChromium } from "../browser.ts";
import { needing, program, type Running, Sandbox, suite, until } from "../harness.ts";
import { type ChromiumPage, openPage } from "../page/open.ts";
import { inPage } from "../page/tab.ts";

/* What a person sees on the page, and how they get along with it. */
const tests = suite("what the page shows");

/** A name that is not as it is in a URL. */
const OTHER = "ü &=+,";

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
    [OTHER]: { listen: `unix:${sandbox.path("other.sock")}` },
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

/** Has the page find a gateway that does not tell what goes on there. */
async function noEvents(context: BrowserContext) {
  await context.route("**/events", (route) => route.fulfill({ status: 404 }));
}

/** Opens the page there. */
async function open(
  options: BrowserContextOptions = {},
  before: () => void = () => {},
): Promise<ChromiumPage> {
  const context = await newContext(options);
  await context.addInitScript(before);
  const page = await openPage(context, url);
  await page.card("local").is("free");
  return page;
}

async function chooseImage(page: ChromiumPage) {
  await page.card("local").choose(image);
  await page.card("local").is("ready");
}

const chromium = needing(tests, ["chromium"]);

chromium("has a card for each configuration, and serves on that which is chosen", async () => {
  const page = await open();
  assert.equal(await page.cards(), ["0", "local", OTHER]);
  const labels = await Promise.all(["0", "local", OTHER].map((name) => page.card(name).textOf("label")));
  assert.equal(labels, ["0: Virtual media device", "local: Unix socket (default)", OTHER]);
  const local = page.card("local");
  assert.not(await local.isEnabled("serve"));
  await local.choose(image);
  await local.is("ready");
  assert.is(await local.textOf("file-size"), "1.2 MiB (1,234,567 bytes)");
  const other = page.card(OTHER);
  await other.is("free");
  await other.choose(image);
  await other.serve();
  await until("the chosen one is there", () => existsSync(sandbox.path("other.sock")));
  await local.is("ready");
  await other.stop();
  await page.isQuiet();
  await page.close();
});

chromium("shows why it was refused", async () => {
  const page = await open();
  const device = page.card("0");
  await device.choose(image);
  await device.click("serve");
  await device.is("failed");
  await device.says(/^Failed\. The other side closed the WebSocket: "the other machine has no place/);
  assert.match(await device.textOf("log"), /has no place for the disk; its log says why/);

  const empty = sandbox.path("empty.img");
  await writeFile(empty, "");
  const local = page.card("local");
  await local.choose(empty);
  await local.click("serve");
  await local.says(
    /^Failed\. The other side closed the WebSocket: "the export is empty, 0 bytes"\. Serve again/,
  );
  await page.close();
});

chromium("works by keyboard alone", async () => {
  // Chromium's newer dialog cannot be answered from outside.
  const page = await open({}, () => Reflect.deleteProperty(window, "showOpenFilePicker"));
  // Before the key that opens it, by a turn to the page: else Chromium at times cancels the dialog by itself.
  const chooser = page.tab.page.waitForEvent("filechooser");
  await page.card("local").focusByKeys("file");
  await page.tab.press("Space");
  await (await chooser).setFiles(image);
  await page.card("local").is("ready");
  await page.card("local").focusByKeys("serve");
  await page.tab.press("Enter");
  await page.card("local").isServing();
  assert.is(await page.focused(), "stop");
  await page.tab.press("Space");
  await page.card("local").is("stopped");
  assert.is(await page.focused(), "serve");
  await page.close();
});

chromium("takes a file that is dropped on a card; beside the cards it says that it does not", async () => {
  const page = await open();
  const dropped = sandbox.path("dropped.img");
  await writeFile(dropped, "dropped");
  await page.card(OTHER).drop(dropped);
  await page.card(OTHER).is("ready");
  assert.is(await page.card(OTHER).textOf("file-name"), "dropped.img");
  await page.drop(dropped);
  await page.shows("news", "Drop the file on the drive that it is for");
  await page.close();
});

chromium("asks before a page that serves is left", async () => {
  const page = await open();
  await page.card("local").choose(image);
  await page.card("local").serve();
  page.tab.isStaying = true;
  // The reload that was not allowed never ends.
  page.reload().catch(() => {});
  await until("it asks", () => page.tab.asked.length > 0);
  assert.equal(page.tab.asked, ["beforeunload"]);
  await page.card("local").isServing();
  await page.card("local").stop();
  await page.close();
});

for (const colorScheme of ["light", "dark"] as const) {
  chromium(`is accessible in every state, ${colorScheme}, and fits on a telephone`, async () => {
    const page = await open({ colorScheme, viewport: { width: 360, height: 740 } });
    const local = page.card("local");
    const device = page.card("0");
    const look = async (what: string) => {
      assert.equal(await page.faults(), [], what);
      assert.is(await page.overflow(), 0, `${what}: pixels that do not fit`);
    };
    await look("free");
    await local.choose(image);
    await local.is("ready");
    await look("ready");
    await local.serve();
    await look("serving");
    await local.stop();
    await look("stopped");
    await device.choose(image);
    await device.click("serve");
    await device.is("failed");
    await look("failed");
    const gone = sandbox.path("gone.img");
    await writeFile(gone, "x");
    await local.choose(gone);
    await local.is("ready");
    await rm(gone);
    await local.click("serve");
    await local.is("bad-file");
    await look("bad-file");
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
          assert.equal(await page.cards(), []);
          assert.is((await page.tab.page.locator("#late").boundingBox())?.height, 0);
          assert.equal(await page.faults(), []);
          await until(
            "it says more",
            async () => (await page.tab.page.locator("#late").boundingBox())!.height > 0,
          );
          assert.equal(await page.faults(), []);
        } else {
          assert.match(await page.tab.page.innerText("noscript"), /^This page needs JavaScript: /);
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
  await noEvents(context);
  await context.route("**/metadata", async (route) => {
    await answer.promise;
    await route.fulfill({
      json: { "a/b": { description: "A" }, c: null },
      headers: { "Default-Configuration": "c", Places: "a%2Fb=%2Frun%2Fx%20%2C%3D.sock, c=%2Fdev%2Fnbd0" },
    });
  });
  const page = await openPage(context, url);
  await page.shows("news", "Starting…");
  assert.equal(await page.cards(), []);
  assert.not(await page.tab.page.isVisible("#late"));
  answer.resolve();
  await page.card("c").is("free");
  await page.shows("news", "");
  assert.is(await page.card("c").textOf("place"), "as /dev/nbd0");
  assert.is(await page.card("a/b").textOf("place"), "as /run/x ,=.sock");
  assert.equal(await page.faults(), []);
  await page.close();
});

chromium("says nothing of where the disk is when it is not told", async () => {
  for (const Places of ["", "%", "local", "local=", "=x", "other=x"]) {
    const context = await newContext();
    await noEvents(context);
    await context.route("**/metadata", (route) =>
      route.fulfill({ json: { local: null, other: null }, headers: { Places } }),
    );
    const page = await openPage(context, url);
    await page.card("local").is("free");
    assert.is((await page.cards()).length, 2);
    assert.not(await page.card("local").isVisible("place"), Places);
    await page.close();
  }
});

/** Keeps what the live regions of the page and of its cards say, each time once. */
function listenToRegions(): void {
  const spoken: string[] = [];
  Object.assign(window, { spoken });
  const live = "output, [role=status], [role=alert], [role=log], [role=timer], [aria-live]";
  const hear = (changes: MutationRecord[]) => {
    const regions = changes.map(({ target }) =>
      (target instanceof Element ? target : target.parentElement)?.closest(live),
    );
    for (const region of new Set(regions)) if (region) spoken.push(region.textContent);
  };
  const roots = [...document.querySelectorAll("nbd-media")].map(({ shadowRoot }) => shadowRoot!);
  for (const root of [document.body, ...roots]) {
    new MutationObserver(hear).observe(root, { subtree: true, childList: true, characterData: true });
  }
}

chromium("speaks when the state changes, and not when a number does", async () => {
  const page = await open();
  await page.tab.evaluate(inPage(listenToRegions));
  await chooseImage(page);
  await page.card("local").serve();
  await until("the socket is there", () => existsSync(socket));
  const uri = `nbd+unix:///?socket=${socket}`;
  for (const end of [1000, 1_200_000]) {
    const before = await page.card("local").textOf("covered-text");
    await sandbox.run("nbdsh", ["-u", uri, "-c", `h.pread(512, ${end})`]);
    await until("the number grows", async () => (await page.card("local").textOf("covered-text")) !== before);
  }
  await page.card("local").stop();
  const spoken = await page.tab.evaluate<string[]>("spoken");
  const headlines = spoken.map(
    (words) => /: ?(Ready to serve|[A-Z][a-z]+)/.exec(words.replace(/^.*\): /, ": "))?.[1],
  );
  // Whoever reads at once is served before it is said that nobody has read yet.
  assert.equal(
    headlines.filter((headline) => headline !== "Attached"),
    ["Ready to serve", "Connecting", "Connected", "Serving", "Ejecting", "Ejected"],
    spoken.join(" | "),
  );
  await page.close();
});

chromium(
  "tells what the field is for, before and after a file was chosen, and then the file's name",
  async () => {
    const page = await open();
    const session = await page.tab.session();
    /** What a screen reader is told. */
    const field = async () => {
      const { result } = await session.send("Runtime.evaluate", {
        expression: page.card("local").part("file"),
      });
      const { nodes } = await session.send("Accessibility.getPartialAXTree", {
        objectId: result.objectId!,
        fetchRelatives: false,
      });
      return { name: nodes[0]?.name?.value, description: nodes[0]?.description?.value };
    };
    const help = "ISO, IMG or any other file. It stays on this computer, and is only read";
    assert.equal(await field(), { name: "Choose a disk image, or drop one here", description: help });
    await chooseImage(page);
    const { name, description } = await field();
    assert.is(name, `Choose another, or drop one here ${basename(image)}`);
    assert.is(description, "1.2 MiB (1,234,567 bytes)");
    await page.close();
  },
);

tests.run();
