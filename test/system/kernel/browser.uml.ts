/** Runs in User-Mode Linux: see machine.ts. Needs 4 GiB of memory, and patience: Chromium takes 20 s to start there. */

import { writeFileSync } from "node:fs";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium, openPage, serve, stop } from "../../browser.ts";
import { program, Sandbox, suite, until, within } from "../../harness.ts";
import { startWebsocketd } from "../../websocketd.ts";
import { pattern, sha256 } from "../link.ts";
import { assertQuietKernel, deviceState, free, hookCalls, writeHook } from "./guest.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
  config: string;
}

/** Chromium gets no more than a megabyte a second through there. */
const SIZE = 1 << 20;

/** Started once, as that takes long. */
let browser: Browser;

const tests = suite<Context>("Chromium and a kernel device");

tests.before(async () => {
  browser = await openChromium();
});
tests.after(() => browser?.close());
tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
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

async function assertSame(sandbox: Sandbox, device: string, image: string) {
  const copy = sandbox.path("copy");
  await sandbox.run("dd", [`if=${device}`, `of=${copy}`, "bs=256k"]);
  assert.is(await sha256(copy), await sha256(image), device);
}

tests("page ▸ websocketd ▸ nbd-proxy 0 ▸ /dev/nbd0", async ({ sandbox, image, config }) => {
  const command = [program("nbd-proxy"), "--config", config, "0"];
  const websocketd = await startWebsocketd(sandbox, command);
  const page = await openPage(browser, websocketd.page, image);
  await serve(page);
  await until("the hook has run", () => hookCalls(sandbox).length === 1, 60_000);
  assert.is(deviceState().size, SIZE);
  await assertSame(sandbox, "/dev/nbd0", image);
  await stop(page);
  await until("the hook has said stop", () => hookCalls(sandbox).length === 2, 60_000);
  assert.equal(hookCalls(sandbox), ["start 0", "stop 0"]);
  await free();
  assertQuietKernel();
});

tests(
  "two pages ▸ nbd-gateway ▸ /dev/nbd0 and /dev/nbd1 at the same time",
  async ({ sandbox, image, config }) => {
    const other = sandbox.path("other.img");
    writeFileSync(other, pattern(SIZE / 2, 2));
    const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0"]);
    await until("the gateway listens", () => gateway.stdout.includes("\n"), 60_000);
    const url = gateway.stdout.trim();
    const first = await openPage(browser, url, image);
    await first.selectOption("#configuration", "0");
    await serve(first);
    const second = await openPage(browser, url, other);
    await second.selectOption("#configuration", "second");
    await serve(second);
    await until("both are attached", () => hookCalls(sandbox).length === 2, 60_000);
    await Promise.all([assertSame(sandbox, "/dev/nbd0", image), sandbox.run("cmp", ["/dev/nbd1", other])]);

    // A tab that asks for a device in use is told so, and the one that has it is not disturbed.
    const third = await openPage(browser, url, other);
    await third.selectOption("#configuration", "0");
    await third.click("#serve");
    await until(
      "the third is refused",
      async () => (await third.innerText("body")).includes("in use"),
      60_000,
    );
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
