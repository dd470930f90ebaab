/** Runs in User-Mode Linux with Chromium beside it: see beside-chromium.ts. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import * as assert from "uvu/assert";
import { serve, stop } from "../../browser.ts";
import { program, Sandbox, suite, until, within } from "../../harness.ts";
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

/** Opens a page of a server of this machine, and chooses a file that is Chromium's own there. */
async function openPage(sandbox: Sandbox, url: string, file: string): Promise<Page> {
  const { port } = new URL(url);
  if (!relayed.has(port)) {
    relayed.add(port);
    sandbox.start("socat", [`TCP-LISTEN:${port},bind=${NETWORK.machine},fork`, `TCP:127.0.0.1:${port}`]);
  }
  const page = await browser.contexts()[0]!.newPage();
  await until(
    "the page is there",
    () =>
      page.goto(url).then(
        () => true,
        () => false,
      ),
    180_000,
  );
  // Playwright would take the file from here and send its bytes.
  const session = await page.context().newCDPSession(page);
  const { root } = await session.send("DOM.getDocument");
  const { nodeId } = await session.send("DOM.querySelector", { nodeId: root.nodeId, selector: "#file" });
  await session.send("DOM.setFileInputFiles", { nodeId, files: [file] });
  return page;
}

async function assertSame(sandbox: Sandbox, device: string, image: string) {
  const copy = sandbox.path("copy");
  await sandbox.run("dd", [`if=${device}`, `of=${copy}`, "bs=256k"]);
  assert.is(await sha256(copy), await sha256(image), device);
}

tests("page ▸ websocketd ▸ nbd-proxy 0 ▸ /dev/nbd0", async ({ sandbox, image, config }) => {
  const command = [program("nbd-proxy"), "--config", config, "0"];
  const websocketd = await startWebsocketd(sandbox, command);
  const page = await openPage(sandbox, websocketd.page, image);
  await serve(page, 60_000);
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
    const other = outside("other.img");
    writeFileSync(other, pattern(SIZE / 2, 2));
    const gateway = sandbox.start(program("nbd-gateway"), ["--config", config, "--port", "0", "--no-auth"]);
    await until("the gateway listens", () => gateway.stdout.includes("\n"), 60_000);
    const url = gateway.stdout.trim();
    const first = await openPage(sandbox, url, image);
    await first.selectOption("#configuration", "0");
    await serve(first, 60_000);
    const second = await openPage(sandbox, url, other);
    await second.selectOption("#configuration", "second");
    await serve(second, 60_000);
    await until("both are attached", () => hookCalls(sandbox).length === 2, 60_000);
    await Promise.all([assertSame(sandbox, "/dev/nbd0", image), sandbox.run("cmp", ["/dev/nbd1", other])]);

    // A tab that asks for a device in use is told so, and the one that has it is not disturbed.
    const third = await openPage(sandbox, url, other);
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
