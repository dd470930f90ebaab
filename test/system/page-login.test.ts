import type { Page } from "playwright-core";
import * as assert from "uvu/assert";
import { serve, stop } from "../browser.ts";
import { pairOf } from "../certificates.ts";
import { suite, until } from "../harness.ts";
import { readByte } from "../stand-in-page-server.ts";
import { BUSY, file, give, inChromium, isAsked, says, WRONG } from "./login-scene.ts";

/* How the page logs in, with a server in the gateway's place. */
const tests = suite("the login of the page");

const { chromium, withGateway } = inChromium(tests);

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

chromium("over TLS there is a cookie, which no script sees, and which all tabs have", async () => {
  const tls = pairOf(["localhost", "127.0.0.1"]);
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

tests.run();
