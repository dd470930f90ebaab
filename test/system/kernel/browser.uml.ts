/** Runs in User-Mode Linux with Chromium beside it: see beside-chromium.ts. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium } from "playwright-core";
import * as assert from "uvu/assert";
import { program, Sandbox, suite, until, within } from "../../harness.ts";
import { ChromiumTab } from "../../page/chromium.ts";
import { MediaPage } from "../../page/media-page.ts";
import type { ChromiumPage } from "../../page/open.ts";
import { startWebsocketd } from "../../websocketd.ts";
import { pattern, sha256 } from "../link.ts";
import { joinNetwork, NETWORK } from "./beside.ts";
import { DEV_TOOLS } from "./beside-chromium.ts";
import { assertQuietKernel, deviceState, free, hookCalls, writeHook } from "./guest.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
  config: string;
}

const SIZE = 32 << 20;

let browser: Browser;

/** The ports of servers here that Chromium reaches. */
const relayed = new Set<string>();

const tests = suite<Context>("Chromium and a kernel device");

tests.before(async () => {
  joinNetwork();
  await until(
    "Chromium is there",
    async () => {
      browser = await chromium
        .connectOverCDP(`http://${NETWORK.beside}:${DEV_TOOLS}`)
        .catch(() => undefined!);
      return browser !== undefined;
    },
    60_000,
  );
});
tests.after(() => browser?.close());
tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = outside("disk.img");
  writeFileSync(context.image, pattern(SIZE));
  context.config = context.sandbox.path("config.json");
  writeHook(context.sandbox);
  const configurations = {
    "0": { "nbd-device": "/dev/nbd0", default: true },
    second: { "nbd-device": "/dev/nbd1" },
  };
  writeFileSync(
    context.config,
    JSON.stringify({ configurations, "state-hook": context.sandbox.path("state") }),
  );
});
tests.after.each(({ sandbox }) => sandbox.end());

/** A file on the machine that Chromium runs on. */
const outside = (name: string) => join(process.env.OUTSIDE!, name);

/** Opens a page of a server of this machine. */
async function openPage(sandbox: Sandbox, url: string): Promise<ChromiumPage> {
  const { port } = new URL(url);
  if (!relayed.has(port)) {
    relayed.add(port);
    sandbox.start("socat", [`TCP-LISTEN:${port},bind=${NETWORK.machine},fork`, `TCP:127.0.0.1:${port}`]);
  }
  const tab = await ChromiumTab.of(await browser.contexts()[0]!.newPage());
  await until(
    "the page is there",
    () =>
      tab.goto(url).then(
        () => true,
        () => false,
      ),
    180_000,
  );
  return new MediaPage(tab);
}

async function assertSame(sandbox: Sandbox, device: string, image: string) {
  const copy = sandbox.path("copy");
  await sandbox.run("dd", [`if=${device}`, `of=${copy}`, "bs=256k"]);
  assert.is(await sha256(copy), await sha256(image), device);
}

tests("page ▸ websocketd ▸ nbd-proxy 0 ▸ /dev/nbd0", async ({ sandbox, image, config }) => {
  const command = [program("nbd-proxy"), "--config", config, "0"];
  const websocketd = await startWebsocketd(sandbox, command);
  const card = (await openPage(sandbox, websocketd.page)).card();
  // The file is Chromium's own, on the machine where it runs.
  await card.choose(image);
  await card.serve(60_000);
  await until("the hook has run", () => hookCalls(sandbox).length === 1, 60_000);
  assert.is(deviceState().size, SIZE);
  await assertSame(sandbox, "/dev/nbd0", image);
  await card.stop();
  await until("the hook has said stop", () => hookCalls(sandbox).length === 2, 60_000);
  assert.equal(hookCalls(sandbox), ["start 0", "stop 0"]);
  await free();
  assertQuietKernel();
});

tests(
  "two pages ▸ nbd-gateway ▸ /dev/nbd0 and /dev/nbd1 at the same time",
  async ({ sandbox, image, config }) => {
    const other = outside("other.img");
    writeFileSync(other, pattern(SIZE / 2, 2));
    const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
    await until("the gateway listens", () => gateway.stdout.includes("\n"), 60_000);
    const url = gateway.stdout.trim();
    const first = (await openPage(sandbox, url)).card("0");
    await first.choose(image);
    await first.serve(60_000);
    const second = (await openPage(sandbox, url)).card("second");
    await second.choose(other);
    await second.serve(60_000);
    await until("both are attached", () => hookCalls(sandbox).length === 2, 60_000);
    await Promise.all([assertSame(sandbox, "/dev/nbd0", image), sandbox.run("cmp", ["/dev/nbd1", other])]);

    // A tab that asks for a device in use is told so, and the one that has it is not disturbed.
    const third = (await openPage(sandbox, url)).card("0");
    await third.choose(other);
    await third.says(/in use/i, 60_000);
    await assertSame(sandbox, "/dev/nbd0", image);
    assert.equal(hookCalls(sandbox).sort(), ["start 0", "start second"]);

    gateway.kill();
    assert.is(await within(20_000, "the gateway's end", gateway.exit), 0, gateway.stderr);
    assert.equal(hookCalls(sandbox).sort(), ["start 0", "start second", "stop 0", "stop second"]);
    await Promise.all([free(0), free(1)]);
    assertQuietKernel();
  },
);

tests.run();
