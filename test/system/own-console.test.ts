/** A page and a server that are not ours, as the documents quote them: test/examples/console. */
import { once } from "node:events";
import { rename } from "node:fs/promises";
import { createConnection } from "node:net";
import * as assert from "uvu/assert";
import { WebSocket } from "ws";
import { failure } from "../bytes.ts";
import { needing, Sandbox, suite, until, within } from "../harness.ts";
import { startChromium } from "../page/chromium.ts";
import type { Browser } from "../page/tab.ts";
import { OwnConsole, OwnPage, SIZE, servesTwice } from "./own-console.ts";

interface Context {
  sandbox: Sandbox;
  console: OwnConsole;
}

const tests = suite<Context>("a page and a server that are not ours");

let chromium: Browser | undefined;

tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.console = new OwnConsole(context.sandbox);
  await context.console.start();
});
tests.after.each(({ sandbox }) => sandbox.end());
tests.after(() => chromium?.close());

const inChromium = needing(tests, ["chromium", "nbdcopy"]);

/** A page of the example, with its file chosen and served. Before that it is asked to serve none. */
async function serving({ origin, image }: OwnConsole, name: string): Promise<OwnPage> {
  chromium ??= await startChromium();
  const page = await OwnPage.open(chromium, `${origin}/${name}`);
  await page.click("start");
  assert.is(await page.text("error"), "choose a disk image first");
  await page.choose(image);
  await page.click("start");
  await page.is("serving");
  return page;
}

for (const name of ["page.html", "classic.html"]) {
  inChromium(`${name}: a disk, its progress, a stop in order, and again at once`, async ({ console }) => {
    await servesTwice(console, await serving(console, name));
  });
}

inChromium("nbd-proxy is killed with bytes on their way to it: the page says so", async ({ console }) => {
  const page = await serving(console, "page.html");
  const disk = await console.disk();
  const reading = Array.from({ length: 64 }, (_, i) => disk.read(i << 17, 1 << 17));
  const ends = Promise.allSettled(reading);
  await reading[0];
  process.kill(console.proxy, "SIGSTOP");
  // What was asked for has been read, and is more than the pipe can hold.
  await until("the page reads no more", async () => (await page.text("progress")).endsWith("; 0 bytes/s"));
  process.kill(console.proxy, "SIGKILL");
  await ends;
  await page.is("failed");
  assert.match(await page.text("error"), /nbd-proxy has failed/);
  assert.equal(console.ends, ["SIGKILL"]);
  await page.click("start");
  await page.is("serving");
  assert.is(await console.copied(), console.digest);
  assert.is(await page.text("error"), "");
  await page.close();
  console.server.kill();
  await within(10_000, "the server's end, which waits for each WebSocket's", console.server.exit);
});

inChromium("whoever starts while the last nbd-proxy is on its way out waits for it", async ({ console }) => {
  const page = await serving(console, "page.html");
  process.kill(console.proxy, "SIGSTOP");
  await page.click("stop");
  await page.is("ended");
  await page.click("start");
  // A server that did not wait would refuse it by now.
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.is(await page.text("state"), "connecting");
  process.kill(console.proxy, "SIGCONT");
  await page.is("serving");
  assert.equal(console.ends, ["0"]);
  assert.is(await console.copied(), console.digest);
  await page.close();
});

inChromium("the file is removed while it is served: the page says so", async ({ console, sandbox }) => {
  const page = await serving(console, "classic.html");
  const disk = await console.disk();
  await disk.read(0, 4096);
  await rename(console.image, sandbox.path("away.img"));
  await failure(disk.read(SIZE - 4096, 4095));
  await page.is("unreadable");
  assert.match(await page.text("error"), /the file was removed/);
  await disk.close();
  await page.close();
});

inChromium("the server is stopped: the disk ends in order, then the server", async ({ console }) => {
  const page = await serving(console, "page.html");
  assert.is(await console.copied(), console.digest);
  // As browsers do, in case that they need one.
  const unused = createConnection({ port: console.port, host: "127.0.0.1" });
  await once(unused, "connect");
  console.server.kill();
  await page.is("ended");
  assert.is(await within(10_000, "the server's end", console.server.exit), 0);
  assert.equal(console.ends, ["0"]);
  assert.equal(console.hooks, ["start", "stop"]);
  assert.not.match(console.server.stderr, /ignored/, "all keys of the configuration are known");
  await page.close();
});

/** The status of the answer to an upgrade, or 101. */
function upgrade(url: string, headers: Record<string, string>): Promise<number> {
  const socket = new WebSocket(url, { headers });
  const status = new Promise<number>((resolve, reject) => {
    socket.once("upgrade", () => resolve(101));
    socket.once("unexpected-response", (_, { statusCode }) => resolve(statusCode!));
    socket.once("error", reject);
  });
  return within(10_000, "the answer", status).finally(() => socket.terminate());
}

tests(
  "an upgrade is refused without the page's cookie, from another page, at another path",
  async (context) => {
    const { endpoint, origin, server } = context.console;
    const [Cookie, Origin] = [await context.console.cookie(), origin];
    assert.is(await upgrade(endpoint, { Origin }), 403, "no cookie");
    assert.is(await upgrade(endpoint, { Origin, Cookie: "console=AAAA" }), 403, "another cookie");
    assert.is(await upgrade(endpoint, { Origin, Cookie: `other=1; x${Cookie}` }), 403, "another name");
    assert.is(await upgrade(endpoint, { Cookie, Origin: "http://elsewhere.example" }), 403, "another page");
    assert.is(await upgrade(endpoint, { Cookie }), 403, "no page");
    assert.is(
      await upgrade(`${origin.replace("http", "ws")}/media/1`, { Origin, Cookie }),
      400,
      "another path",
    );
    assert.is(server.stderr, "", "no nbd-proxy was started");
    assert.is(await upgrade(endpoint, { Origin, Cookie: `other=1; ${Cookie}` }), 101);
  },
);

inChromium("one disk at a time: another page is told, and gets in afterwards", async ({ console }) => {
  const page = await serving(console, "page.html");
  const other = await OwnPage.open(chromium!, `${console.origin}/classic.html`);
  await other.choose(console.image);
  await other.click("start");
  await other.is("failed");
  assert.match(await other.text("error"), /the drive is in use/);
  assert.is(await console.copied(), console.digest, "the first one goes on");
  await page.close();
  await until("the first nbd-proxy has ended", () => console.ends.length === 1);
  await other.click("start");
  await other.is("serving");
  await other.close();
});

tests("what is not of the page is not served", async ({ console: { origin } }) => {
  for (const path of ["/server.mjs", "/config.json", "/..%2fimage.img", "/js/nbd.js", "/no-such"]) {
    assert.is((await fetch(origin + path)).status, 404, path);
  }
  const byName = await fetch(origin.replace("127.0.0.1", "localhost"), { redirect: "manual" });
  assert.is(byName.headers.get("location"), `${origin}/`, "by another name it is not the page");
  assert.is(byName.headers.get("set-cookie"), null);
});

tests.run();
