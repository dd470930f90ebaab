import { readFile, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Browser } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../browser.ts";
import { needing, root, Sandbox, suite } from "../harness.ts";
import { type ChromiumPage, openPage } from "../page/open.ts";

/* A page is not told how a WebSocket was refused, so it asks once more by a plain request, and shows the answer. */
const tests = suite("the page whose WebSocket is refused");

let sandbox: Sandbox;
let image: string;
let browser: Browser | undefined;
const types: Readonly<Record<string, string>> = {
  js: "text/javascript",
  css: "text/css",
  svg: "image/svg+xml",
};

tests.before(async () => {
  sandbox = new Sandbox();
  image = sandbox.path("x.img");
  await writeFile(image, "x");
});

tests.after(async () => {
  await browser?.close();
  await sandbox.end();
});

/** Serves the page, and refuses every WebSocket; plain requests to the path of one are answered by `answer`. */
async function startRefusing(answer: (response: ServerResponse) => void) {
  const server = createServer(async ({ url = "/" }: IncomingMessage, response) => {
    if (url === "/metadata") return response.end('{"a b":null}');
    if (url === "/a%20b") return answer(response);
    const name = url === "/" ? "index.html" : url.slice(1);
    const file = await readFile(join(root, "dist/web", name)).catch(() => undefined);
    if (!file) return response.writeHead(404).end();
    response.setHeader("Content-Type", types[name.split(".").at(-1)!] ?? "text/html").end(file);
  });
  server.on("upgrade", (_request, socket) => socket.end("HTTP/1.1 403 Forbidden\r\n\r\n"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
}

/** Serves a file once, and returns what the page says at last. */
async function refusal(page: ChromiumPage): Promise<string> {
  await page.card().choose(image);
  await page.card().click("serve");
  await page.card().shows("log", /a plain request to the same/);
  return page.card().state();
}

async function withPage(
  answer: (response: ServerResponse) => void,
  use: (page: ChromiumPage) => Promise<void>,
) {
  browser ??= await openChromium();
  const { server, url } = await startRefusing(answer);
  const page = await openPage(browser, url);
  try {
    await use(page);
  } finally {
    await page.close();
    server.closeAllConnections();
    server.close();
  }
}

const text = { "Content-Type": "text/plain; charset=utf-8" };
const hint = /a proxy in between must pass on Upgrade, Connection and Host\. /;

const cases: readonly [name: string, answer: (response: ServerResponse) => void, shown: RegExp][] = [
  [
    "403 and its words",
    (response) => response.writeHead(403, text).end("this host name is not allowed here\n"),
    /^Refused\. The connection failed: 403 Forbidden: this host name is not allowed here\. See to /,
  ],
  [
    "words that are long, and of several lines",
    (response) => response.writeHead(403, text).end(`one\r\n\u0007two ${"x".repeat(1 << 20)}`),
    /: 403 Forbidden: one two x{292}\. /,
  ],
  ["a proxy's page", (response) => response.writeHead(502).end("<h1>Bad"), /failed: 502 Bad Gateway\. /],
  ["426: the path is right", (response) => response.writeHead(426, text).end("a WebSocket's"), hint],
  ["another page: the path is none of a WebSocket", (response) => response.end("<h1>Hello"), hint],
  [
    "a redirect",
    (response) => response.writeHead(302, { Location: "https://127.0.0.1:9/" }).end(),
    /failed: a plain request is redirected, perhaps to a login page\. /,
  ],
  [
    "nothing",
    (response) => response.destroy(),
    /^The gateway does not answer\. Nothing answers at 127\.0\.0\.1:\d+: .*then serve again$/,
  ],
];

for (const [name, answer, shown] of cases) {
  needing(tests, ["chromium"])(`a plain request is answered with ${name}`, async () => {
    await withPage(answer, async (page) => {
      assert.match(await refusal(page), shown);
      // Another attempt makes sense as soon as the cause is gone.
      assert.ok(await page.card().isEnabled("serve"));
    });
  });
}

tests.run();
