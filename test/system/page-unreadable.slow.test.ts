import { existsSync } from "node:fs";
import { mkdir, open, rename, truncate, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { needing, program, Sandbox, suite, until } from "../harness.ts";
import { randomImage } from "../image.ts";
import { type ChromiumTab, startChromium } from "../page/chromium.ts";
import { startFirefox } from "../page/firefox.ts";
import { MediaPage } from "../page/media-page.ts";
import type { Browser } from "../page/tab.ts";

/* What becomes of the page when the file it serves is not what it was, or not there. */
const tests = suite("the page whose file cannot be read");

const MIB = 1 << 20;
/** More than the page and the gateway keep in memory. */
const SIZE = 64 * MIB;
const LENGTH = 4096;

let sandbox: Sandbox;
let url: string;
let socket: string;
const browsers = new Map<string, Browser>();

tests.before(async () => {
  sandbox = new Sandbox();
  socket = sandbox.path("local.sock");
  const config = sandbox.path("config.json");
  const configurations = { local: { listen: `unix:${socket}` } };
  await writeFile(config, JSON.stringify({ configurations, "state-hook": "/nowhere" }));
  const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
  await until("the gateway's URL", () => gateway.stdout.endsWith("\n"));
  url = gateway.stdout.trim();
});

tests.after(async () => {
  for (const browser of browsers.values()) await browser.close();
  await sandbox.end();
});

async function openPage(name: string): Promise<MediaPage> {
  const browser = browsers.get(name) ?? (await (name === "chromium" ? startChromium() : startFirefox()));
  browsers.set(name, browser);
  return MediaPage.open(await browser.newTab(), url);
}

async function choose(page: MediaPage, path: string) {
  await page.card().choose(path);
  await page.card().is("ready");
}

async function serve(page: MediaPage) {
  await page.card().serve();
  await until("the socket is there", () => existsSync(socket));
}

async function stop(page: MediaPage) {
  await page.card().stop();
  await until("the socket is gone", () => !existsSync(socket));
  await page.close();
}

/** Some bytes of what is served, as hexadecimal numbers; undefined where reading them is an error. */
async function read(offset: number): Promise<string | undefined> {
  const program = `
try: print(h.pread(${LENGTH}, ${offset}).hex())
except nbd.Error as error: print(error.errno)`;
  const words = await sandbox.run("nbdsh", ["-u", `nbd+unix:///?socket=${socket}`, "-c", program]);
  return words.trim() === "EIO" ? undefined : words.trim();
}

/** The same bytes of a file. */
async function bytesAt(path: string, offset: number): Promise<string> {
  const file = await open(path);
  const { buffer } = await file.read(Buffer.alloc(LENGTH), 0, LENGTH, offset);
  await file.close();
  return buffer.toString("hex");
}

/** What can happen to a file, which is then beside its old place. */
const changes: Readonly<Record<string, (path: string, aside: string) => Promise<void>>> = {
  async replaced(path, aside) {
    await rename(path, aside);
    await randomImage(path, SIZE);
  },
  async "replaced by a longer one"(path, aside) {
    await rename(path, aside);
    await randomImage(path, SIZE + MIB);
  },
  async removed(path, aside) {
    await rename(path, aside);
  },
  async truncated(path, aside) {
    await sandbox.run("cp", ["--preserve=timestamps", path, aside]);
    await truncate(path, 20 * MIB);
  },
};

for (const [name, packageName] of [
  ["chromium", "chromium"],
  ["firefox-esr", "firefox-esr"],
] as const) {
  const tested = needing(tests, [packageName, "nbdsh"]);

  for (const [what, change] of Object.entries(changes)) {
    tested(`${name}: a file that is ${what} while it is served, and comes back`, async () => {
      const path = sandbox.path(`${what}.img`);
      const aside = sandbox.path("aside.img");
      await randomImage(path, SIZE);
      const page = await openPage(name);
      await choose(page, path);
      await serve(page);
      assert.is(await read(0), await bytesAt(path, 0));

      await change(path, aside);
      for (const at of [30, 40, 50]) assert.is(await read(at * MIB), undefined, `what is at ${at} MiB`);
      await page.card().says(/^The file cannot be read any more\. Reading \d+ bytes at \d+: the file /);
      const lines = (await page.card().textOf("log")).match(/reading \d+ bytes at/g);
      assert.is(lines?.length, 1, "one line of the log");
      assert.ok(await page.card().isEnabled("stop"));

      await rename(aside, path);
      // Nobody reads: the page finds out by itself.
      await page.card().isServing();
      assert.is(await read(60 * MIB), await bytesAt(path, 60 * MIB));
      await stop(page);
    });
  }

  tested(`${name}: a file that is gone when it is to be served, and comes back`, async () => {
    const path = sandbox.path("gone.img");
    await randomImage(path, MIB);
    const page = await openPage(name);
    await choose(page, path);
    await rename(path, sandbox.path("aside.img"));
    await page.card().click("serve");
    await page.card().says(/^The file cannot be read\. [Tt]he file was /);
    assert.not(await page.card().isEnabled("serve"));
    assert.not(existsSync(socket), "the other machine has been offered nothing");
    await rename(sandbox.path("aside.img"), path);
    await page.card().is("ready");
    await serve(page);
    await stop(page);
  });
}

for (const entries of [true, false]) {
  const told = entries ? "the browser tells so" : "reading it tells";
  needing(tests, ["chromium"])(`a folder that is dropped is refused: ${told}`, async () => {
    const folder = sandbox.path(`folder ${entries}`);
    await mkdir(folder);
    const page = await openPage("chromium");
    if (!entries) {
      await page.tab.evaluate(`Reflect.deleteProperty(DataTransferItem.prototype, "webkitGetAsEntry")`);
    }
    await new MediaPage(page.tab as ChromiumTab).card().dropByMouse(folder);
    await page.card().is(entries ? "folder" : "bad-file");
    await page.card().says(entries ? /^This is a folder\. / : /or is a folder/);
    assert.not(await page.card().isEnabled("serve"));
    // A file is as welcome as ever.
    const path = sandbox.path("instead.img");
    await randomImage(path, MIB);
    await choose(page, path);
    await page.close();
  });
}

tests.run();
