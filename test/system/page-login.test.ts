import { readFile } from "node:fs/promises";
import axe from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium, serve, stateOf, stop } from "../browser.ts";
import { needing, Sandbox, suite, until } from "../harness.ts";
import { readByte, StandInGateway, type StandInOptions } from "../stand-in-page-server.ts";

/* How the page logs in, with a server in the gateway's place. */
const tests = suite("the login of the page");

let sandbox: Sandbox;
let browser: Browser | undefined;

tests.before(() => {
  sandbox = new Sandbox();
});

tests.after(async () => {
  await browser?.close();
  await sandbox.end();
});

const file = { name: "boot.iso", mimeType: "", buffer: Buffer.from("x".repeat(512)) };

interface Scene {
  gateway: StandInGateway;
  context: BrowserContext;
  /** Opens the page in a tab of its own. */
  open(fragment?: string): Promise<Page>;
  /** What the tabs have complained about, as of what the security policy forbids. */
  complaints: string[];
}

async function withGateway(
  { contextOptions, ...options }: StandInOptions & { contextOptions?: BrowserContextOptions },
  use: (scene: Scene) => Promise<void>,
) {
  browser ??= await openChromium();
  const gateway = new StandInGateway(options);
  await gateway.listen();
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...contextOptions });
  const complaints: string[] = [];
  context.on("weberror", (error) => complaints.push(error.error().message));
  const open = async (fragment = "") => {
    const page = await context.newPage();
    page.on("console", (message) => {
      // What Chromium itself says of an answer of 401 or 429 is no complaint.
      const isAnswer = /Failed to load resource|WebSocket connection to/.test(message.text());
      if (["error", "warning"].includes(message.type()) && !isAnswer) complaints.push(message.text());
    });
    await page.goto(gateway.url + fragment);
    return page;
  };
  try {
    await use({ gateway, context, open, complaints });
    assert.equal(complaints, []);
  } finally {
    await context.close();
    gateway.end();
  }
}

async function certificate() {
  const [cert, key] = [sandbox.path("cert.pem"), sandbox.path("key.pem")];
  const newKey = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  const names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"];
  await sandbox.run("openssl", ["req", "-x509", ...newKey, ...names, "-out", cert, "-keyout", key]);
  return { cert: await readFile(cert), key: await readFile(key) };
}

async function says(page: Page, words: string | RegExp) {
  const isSaid = (text: string) => (typeof words === "string" ? text === words : words.test(text));
  await until(`the page says ${words}`, async () => isSaid(await stateOf(page)));
}

/** Gives a token to the field. */
async function give(page: Page, token: string) {
  await page.fill("#token", token);
  await page.keyboard.press("Enter");
}

async function isAsked(page: Page, words: string) {
  await until("the field", () => page.isVisible("#token"));
  await until(`the words ${words}`, async () => (await page.innerText("#login-words")) === words);
  assert.is(await page.evaluate(() => document.activeElement?.id), "token");
}

/** All that is shown or kept where others could read it. */
async function inSight(page: Page): Promise<string> {
  const session = await page.context().newCDPSession(page);
  const { entries } = await session.send("Page.getNavigationHistory");
  const values = await page.evaluate(() => [
    document.title,
    document.cookie,
    document.body.innerText,
    location.href,
  ]);
  return [page.url(), ...values, ...entries.map(({ url }) => url)].join("\n");
}

const chromium = needing(tests, ["chromium"]);
const secure = needing(tests, ["chromium", "openssl"]);
const WRONG = "This is not the token of this gateway";
const ENDED = "Your login has ended: log in again";

chromium("takes the token out of the URL, over plain HTTP, and a reload keeps the login", async () => {
  await withGateway({}, async ({ gateway, context, open }) => {
    const page = await open(`#${gateway.token}`);
    await says(page, "No file chosen");
    assert.is(page.url(), gateway.url);
    assert.not.match(await inSight(page), gateway.token);
    assert.equal(
      gateway.askedFor("login").map(({ method, body }) => [method, body]),
      [["POST", JSON.stringify({ token: gateway.token })]],
    );
    const [session] = gateway.sessions!;
    assert.is(gateway.askedFor("metadata").at(-1)!.headers.authorization, `Bearer ${session}`);
    assert.equal(await context.cookies(), []);
    assert.equal(await page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }]), [
      {},
      { "nbd-proxy login /": session },
    ]);

    await page.setInputFiles("#file", file);
    await serve(page);
    assert.is(gateway.askedFor("b").at(-1)!.headers["sec-websocket-protocol"], `nbd, token.${session}`);
    await stop(page);
    assert.not.match(await inSight(page), session!);

    await page.reload();
    await says(page, "No file chosen");
    assert.is(gateway.askedFor("login").length, 1);
    // The token has reached the server in the body of one request, and the session id in no URL.
    for (const { url, headers } of gateway.asked) {
      assert.not.match(JSON.stringify([url, headers]), gateway.token);
      assert.not.match(JSON.stringify([url, headers.referer]), session!);
    }

    const other = await open();
    await isAsked(other, "");
    await says(other, "Not logged in");
    assert.not(await other.isVisible("#serve"));
  });
});

secure("over TLS there is a cookie, which no script sees, and which all tabs have", async () => {
  const tls = await certificate();
  await withGateway({ tls }, async ({ gateway, context, open }) => {
    const page = await open(`#${gateway.token}`);
    await says(page, "No file chosen");
    const [cookie] = await context.cookies();
    assert.ok(cookie?.httpOnly && cookie.secure);
    assert.is(await page.evaluate(() => document.cookie), "");
    assert.equal(await page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }]), [
      { "nbd-proxy login /": "cookie" },
      {},
    ]);
    await page.setInputFiles("#file", file);
    await serve(page);
    const { headers } = gateway.askedFor("b").at(-1)!;
    assert.is(headers["sec-websocket-protocol"], undefined);
    assert.match(headers.cookie!, cookie!.value);
    await stop(page);

    const other = await open();
    await says(other, "No file chosen");
    await other.click("#log-out");
    await isAsked(other, "");
    assert.equal(await context.cookies(), []);
    assert.equal(await other.evaluate(() => ({ ...localStorage })), {});
    // The first tab finds out when it serves.
    await page.click("#serve");
    await isAsked(page, ENDED);
  });
});

chromium("a page that is open already takes the token of the URL that is pasted over its own", async () => {
  await withGateway({}, async ({ gateway, open }) => {
    const page = await open();
    await isAsked(page, "");
    await page.evaluate((token) => location.assign(`#${token}`), gateway.token);
    await says(page, "No file chosen");
    assert.not(await page.isVisible("#token"));
    assert.not.match(await inSight(page), gateway.token);
  });
});

chromium("below a path it asks only there, and keeps the login of each path by itself", async () => {
  await withGateway({ prefix: "/vm/" }, async ({ gateway, open }) => {
    const page = await open(`#${gateway.token}`);
    await says(page, "No file chosen");
    await page.setInputFiles("#file", file);
    await serve(page);
    await stop(page);
    await page.click("#log-out");
    await isAsked(page, "");
    assert.equal(await page.evaluate(() => ({ ...sessionStorage })), {});
    assert.is(gateway.askedFor("login").length, 1);
    assert.is(gateway.askedFor("logout").length, 1);
    assert.ok(gateway.asked.every(({ url }) => url.startsWith("/vm/")));
  });
});

chromium("a token that is wrong, too many of them, and no gateway: words for each", async () => {
  await withGateway({}, async ({ gateway, open }) => {
    const page = await open("#wrong");
    await isAsked(page, WRONG);
    assert.is(page.url(), gateway.url);
    await give(page, "wrong too");
    await isAsked(page, WRONG);
    assert.is(await page.getAttribute("#token", "aria-invalid"), "true");

    gateway.refusal = { status: 429, headers: { "Retry-After": "42" } };
    await give(page, "wrong again");
    await isAsked(page, "There were too many attempts with a wrong token: try again in 42 s");
    gateway.refusal = { status: 429, headers: { "Retry-After": "soon" } };
    await give(page, "wrong again");
    await isAsked(page, "There were too many attempts with a wrong token: try again later");
    for (const [type, words] of [
      ["application/json", "403 Forbidden: no"],
      ["text/plain", '403 Forbidden: {"error":"no"}'],
      ["text/html", "403 Forbidden"],
    ] as const) {
      gateway.refusal = { status: 403, headers: { "Content-Type": type } };
      await give(page, "x");
      await isAsked(page, words);
    }
    gateway.refusal = { status: 302, headers: { Location: "https://127.0.0.1:9/" } };
    await give(page, "x");
    await isAsked(page, "a plain request is redirected, perhaps to a login page");
    await page.route("**/login", (route) => route.abort());
    await give(page, gateway.token);
    await isAsked(page, `there is no answer from ${new URL(gateway.url).host}`);
    await page.unroute("**/login");
    gateway.isForgetful = true;
    await give(page, gateway.token);
    await isAsked(
      page,
      "The token was right, but the next request was refused: does the browser block cookies?",
    );
    gateway.isForgetful = false;

    // What is pasted may be the whole URL.
    await give(page, ` ${gateway.url}#${gateway.token}\n`);
    await says(page, "No file chosen");
    assert.not(await page.isVisible("#token"));
    assert.is(await page.inputValue("#token"), "");
    assert.is(await page.evaluate(() => document.activeElement?.id), "file");
    assert.not.match(await page.innerText("#log"), /wrong|#/);
  });
});

chromium("a login that ends while the page is open: Serve asks for the token, and then goes on", async () => {
  await withGateway({}, async ({ gateway, open }) => {
    const page = await open(`#${gateway.token}`);
    await says(page, "No file chosen");
    await page.setInputFiles("#file", file);
    await page.selectOption("#configuration", "a");
    await page.selectOption("#configuration", "b");
    gateway.sessions!.clear();
    await page.click("#serve");
    await isAsked(page, ENDED);
    await says(page, "Not logged in");
    assert.equal(await page.evaluate(() => ({ ...sessionStorage })), {});
    await give(page, "wrong");
    await isAsked(page, WRONG);
    await give(page, gateway.token);
    await says(page, /^Serving/);
    assert.is(await page.innerText("#file-name"), "boot.iso");
    assert.is(await page.inputValue("#configuration"), "b");
    assert.is(await page.evaluate(() => document.activeElement?.id), "stop");
    await stop(page);
    // A login that ends between two visits is told too.
    gateway.sessions!.clear();
    await page.reload();
    await isAsked(page, ENDED);
  });
});

chromium("logs out: not while it serves, and not where the gateway does not hear it", async () => {
  await withGateway({}, async ({ gateway, open }) => {
    const page = await open(`#${gateway.token}`);
    await says(page, "No file chosen");
    await page.setInputFiles("#file", file);
    await serve(page);
    assert.not(await page.isEnabled("#log-out"));
    await stop(page);
    await page.route("**/logout", (route) => route.abort());
    await page.click("#log-out");
    await says(page, /^You are still logged in: there is no answer from 127\.0\.0\.1:\d+$/);
    await page.unroute("**/logout");
    const [session] = gateway.sessions!;
    await page.click("#log-out");
    await isAsked(page, "");
    assert.is(gateway.askedFor("logout").at(-1)!.headers.authorization, `Bearer ${session}`);
    assert.is(gateway.sessions!.size, 0);
    assert.not(await page.isVisible("#log-out"));
    // The file is still there, and nothing is served by itself.
    await give(page, gateway.token);
    await says(page, /^You are still|^Ended|^Ready/);
    assert.is(await page.innerText("#file-name"), "boot.iso");
    assert.ok(await page.isEnabled("#serve"));
  });
});

chromium("a server without a login is used as before, even with a token in the URL", async () => {
  for (const fragment of ["", "#something"]) {
    await withGateway({}, async ({ gateway, open }) => {
      gateway.sessions = undefined;
      const page = await open(fragment);
      await says(page, "No file chosen");
      assert.not(await page.isVisible("#log-out"));
      assert.not(await page.isVisible("#token"));
      await page.setInputFiles("#file", file);
      await serve(page);
      const { headers } = gateway.askedFor("b").at(-1)!;
      assert.is(headers["sec-websocket-protocol"], undefined);
      assert.is(headers.authorization, undefined);
    });
  }
});

chromium("forgets a login at what has become a server without one", async () => {
  await withGateway({}, async ({ gateway, open }) => {
    const page = await open(`#${gateway.token}`);
    await says(page, "No file chosen");
    gateway.sessions = undefined;
    await page.reload();
    await says(page, "No file chosen");
    await page.click("#log-out");
    await until("it has forgotten", async () => !(await page.isVisible("#log-out")));
    assert.equal(await page.evaluate(() => ({ ...sessionStorage })), {});
    await says(page, "No file chosen");
  });
});

chromium("logs in where the browser keeps nothing, until the page is left", async () => {
  await withGateway({}, async ({ gateway, context, open }) => {
    const throws = "{ get() { throw new DOMException('denied', 'SecurityError'); } }";
    for (const name of ["sessionStorage", "localStorage"]) {
      await context.addInitScript(`Object.defineProperty(window, "${name}", ${throws})`);
    }
    const page = await open(`#${gateway.token}`);
    await says(page, "No file chosen");
    await page.setInputFiles("#file", file);
    await serve(page);
  });
});

const BUSY = "in use since 18:57 by boot.iso from 10.9.0.2, silent for 12 s";

chromium("a place that is in use: who has it, and a button to take it over", async () => {
  await withGateway({}, async ({ gateway, open }) => {
    const page = await open(`#${gateway.token}`);
    await page.setInputFiles("#file", file);
    gateway.onWebSocket = (socket) => socket.close(4002, BUSY);
    await says(page, "Ready to serve");
    assert.not(await page.isVisible("#take-over"));
    await page.click("#serve");
    await says(page, `I${BUSY.slice(1)}`);
    const [session] = gateway.sessions!;
    assert.is(gateway.askedFor("b").at(-1)!.headers["sec-websocket-protocol"], `nbd, token.${session}`);

    // Words alone mean nothing.
    gateway.onWebSocket = (socket) => socket.close(4000, BUSY);
    await page.click("#serve");
    await says(page, /^Failed: /);
    assert.not(await page.isVisible("#take-over"));
    gateway.onWebSocket = (socket) => socket.close(4002, BUSY);
    await page.click("#serve");
    await says(page, /^In use/);

    // Another configuration may be free.
    await page.selectOption("#configuration", "a");
    await says(page, "Ready to serve");
    assert.not(await page.isVisible("#take-over"));
    await page.selectOption("#configuration", "b");
    await page.click("#serve");
    await says(page, /^In use/);

    gateway.onWebSocket = (socket) => socket.close(4002, "this configuration was taken over 3 s ago; wait");
    await page.click("#take-over");
    await says(page, "This configuration was taken over 3 s ago; wait");
    let first: { close(code: number, reason: string): void } | undefined;
    gateway.onWebSocket = (socket) => {
      first = socket;
      readByte(socket);
    };
    await page.focus("#take-over");
    await page.keyboard.press("Enter");
    await says(page, /^Serving/);
    const asked = gateway.askedFor("b").at(-1)!.headers["sec-websocket-protocol"];
    assert.is(asked, `nbd, token.${session}, take-over`);
    assert.is(await page.evaluate(() => document.activeElement?.id), "stop");
    assert.not(await page.isVisible("#take-over"));

    const count = gateway.askedFor("b").length;
    first!.close(4001, "taken over by 10.9.0.3");
    await says(page, "Taken over by 10.9.0.3");
    // Final: by itself it does nothing any more.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.is(gateway.askedFor("b").length, count);
    await says(page, "Taken over by 10.9.0.3");
    assert.not(await page.isVisible("#take-over"));
    assert.ok(await page.isEnabled("#serve"));
  });
});

chromium("without a login, the takeover asks for the subprotocol nbd too", async () => {
  await withGateway({}, async ({ gateway, open }) => {
    gateway.sessions = undefined;
    gateway.onWebSocket = (socket) => socket.close(4002, "this configuration is in use by another session");
    const page = await open();
    await page.setInputFiles("#file", file);
    await page.click("#serve");
    await says(page, "This configuration is in use by another session");
    gateway.onWebSocket = readByte;
    await page.click("#take-over");
    await says(page, /^Serving/);
    assert.is(gateway.askedFor("b").at(-1)!.headers["sec-websocket-protocol"], "nbd, take-over");
  });
});

async function faults(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    (window as unknown as { axe: { run(): Promise<axe.AxeResults> } }).axe.run(),
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}

for (const colorScheme of ["light", "dark"] as const) {
  chromium(`is accessible, by keyboard too, and fits on a telephone, ${colorScheme}`, async () => {
    const contextOptions = { colorScheme, viewport: { width: 360, height: 740 } };
    await withGateway({ contextOptions }, async ({ gateway, open }) => {
      const page = await open();
      const look = async (what: string) => {
        assert.equal(await faults(page), [], what);
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 360, `${what}: ${width} pixels wide`);
      };
      await isAsked(page, "");
      await look("the field");
      await page.keyboard.type("wrong");
      assert.is(await page.getAttribute("#token", "type"), "password");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Space");
      assert.is(await page.getAttribute("#token", "type"), "text");
      assert.is(await page.getAttribute("#show-token", "aria-pressed"), "true");
      assert.is(await page.getAttribute("#token", "autocomplete"), "off");
      await page.keyboard.press("Tab");
      await page.keyboard.press("Enter");
      await isAsked(page, WRONG);
      await look("a wrong token");
      await give(page, gateway.token);
      await page.setInputFiles("#file", file);
      await says(page, "Ready to serve");
      await look("logged in");
      gateway.onWebSocket = (socket) => socket.close(4002, BUSY);
      await page.click("#serve");
      await says(page, /^In use/);
      await look("in use");
      gateway.onWebSocket = (socket) => socket.close(4001, "taken over by 10.9.0.3");
      await page.click("#take-over");
      await says(page, /^Taken over/);
      await look("taken over");
    });
  });
}

tests.run();
