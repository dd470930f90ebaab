import * as assert from "uvu/assert";
import { pairOf } from "../certificates.ts";
import { suite, until } from "../harness.ts";
import type { ChromiumPage } from "../page/open.ts";
import { readByte } from "../stand-in-page-server.ts";
import { BUSY, inChromium, WRONG } from "./login-scene.ts";

/* How the page logs in, with a server in the gateway's place. */
const tests = suite("the login of the page");

const { chromium, withGateway } = inChromium(tests);

/** All that is shown or kept where others could read it. */
async function inSight(page: ChromiumPage): Promise<string> {
  const session = await page.tab.session();
  const { entries } = await session.send("Page.getNavigationHistory");
  const values = await page.tab.evaluate<string[]>("[document.title, document.cookie, location.href]");
  return [page.tab.page.url(), await page.text(), ...values, ...entries.map(({ url }) => url)].join("\n");
}

const ENDED = "Your login has ended: log in again";

chromium("takes the token out of the URL, over plain HTTP, and a reload keeps the login", async () => {
  await withGateway({}, async ({ gateway, file, context, open }) => {
    const page = await open(`#${gateway.token}`);
    await page.card("b").is("free");
    assert.is(page.tab.page.url(), gateway.url);
    assert.not.match(await inSight(page), gateway.token);
    assert.equal(
      gateway.askedFor("login").map(({ method, body }) => [method, body]),
      [["POST", JSON.stringify({ token: gateway.token })]],
    );
    const [session] = gateway.sessions!;
    assert.is(gateway.askedFor("metadata").at(-1)!.headers.authorization, `Bearer ${session}`);
    assert.equal(await context.cookies(), []);
    assert.equal(await page.tab.page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }]), [
      {},
      { "nbd-proxy login /": session },
    ]);

    await page.card("b").choose(file);
    await page.card("b").serve();
    assert.is(gateway.askedFor("b").at(-1)!.headers["sec-websocket-protocol"], `nbd, token.${session}`);
    await page.card("b").stop();
    assert.not.match(await inSight(page), session!);

    await page.reload();
    await page.card("b").is("free");
    assert.is(gateway.askedFor("login").length, 1);
    // The token has reached the server in the body of one request, and the session id in no URL.
    for (const { url, headers } of gateway.asked) {
      assert.not.match(JSON.stringify([url, headers]), gateway.token);
      assert.not.match(JSON.stringify([url, headers.referer]), session!);
    }

    const other = await open();
    await other.isAsked("");
    assert.not(await other.card("b").isVisible("serve"));
  });
});

chromium("over TLS there is a cookie, which no script sees, and which all tabs have", async () => {
  const tls = pairOf(["localhost", "127.0.0.1"]);
  await withGateway({ tls }, async ({ gateway, file, context, open }) => {
    const page = await open(`#${gateway.token}`);
    await page.card("b").is("free");
    const [cookie] = await context.cookies();
    assert.ok(cookie?.httpOnly && cookie.secure);
    assert.is(await page.tab.page.evaluate(() => document.cookie), "");
    assert.equal(await page.tab.page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }]), [
      { "nbd-proxy login /": "cookie" },
      {},
    ]);
    await page.card("b").choose(file);
    await page.card("b").serve();
    const { headers } = gateway.askedFor("b").at(-1)!;
    assert.is(headers["sec-websocket-protocol"], undefined);
    assert.match(headers.cookie!, cookie!.value);
    await page.card("b").stop();

    const other = await open();
    await other.card("b").is("free");
    await other.logOut();
    await other.isAsked("");
    assert.equal(await context.cookies(), []);
    assert.equal(await other.tab.page.evaluate(() => ({ ...localStorage })), {});
    // The first tab finds out when it serves.
    await page.card("b").click("serve");
    await page.isAsked(ENDED);
  });
});

chromium("a page that is open already takes the token of the URL that is pasted over its own", async () => {
  await withGateway({}, async ({ gateway, open }) => {
    const page = await open();
    await page.isAsked("");
    await page.tab.page.evaluate((token) => location.assign(`#${token}`), gateway.token);
    await page.card("b").is("free");
    assert.not(await page.isVisible("token"));
    assert.not.match(await inSight(page), gateway.token);
  });
});

chromium("below a path it asks only there, and keeps the login of each path by itself", async () => {
  await withGateway({ prefix: "/vm/" }, async ({ gateway, file, open }) => {
    const page = await open(`#${gateway.token}`);
    await page.card("b").is("free");
    await page.card("b").choose(file);
    await page.card("b").serve();
    await page.card("b").stop();
    await page.logOut();
    await page.isAsked("");
    assert.equal(await page.tab.page.evaluate(() => ({ ...sessionStorage })), {});
    assert.is(gateway.askedFor("login").length, 1);
    assert.is(gateway.askedFor("logout").length, 1);
    assert.ok(gateway.asked.every(({ url }) => url.startsWith("/vm/")));
  });
});

chromium("a token that is wrong, too many of them, and no gateway: words for each", async () => {
  await withGateway({}, async ({ gateway, open }) => {
    const page = await open("#wrong");
    await page.isAsked(WRONG);
    assert.is(page.tab.page.url(), gateway.url);
    await page.logIn("wrong too");
    await page.isAsked(WRONG);
    assert.is(await page.tab.page.getAttribute("#token", "aria-invalid"), "true");

    gateway.refusal = { status: 429, headers: { "Retry-After": "42" } };
    await page.logIn("wrong again");
    await page.isAsked("There were too many attempts with a wrong token: try again in 42 s");
    gateway.refusal = { status: 429, headers: { "Retry-After": "soon" } };
    await page.logIn("wrong again");
    await page.isAsked("There were too many attempts with a wrong token: try again later");
    for (const [type, words] of [
      ["application/json", "403 Forbidden: no"],
      ["text/plain", '403 Forbidden: {"error":"no"}'],
      ["text/html", "403 Forbidden"],
    ] as const) {
      gateway.refusal = { status: 403, headers: { "Content-Type": type } };
      await page.logIn("x");
      await page.isAsked(words);
    }
    gateway.refusal = { status: 302, headers: { Location: "https://127.0.0.1:9/" } };
    await page.logIn("x");
    await page.isAsked("a plain request is redirected, perhaps to a login page");
    await page.tab.page.route("**/login", (route) => route.abort());
    await page.logIn(gateway.token);
    await page.isAsked(`there is no answer from ${new URL(gateway.url).host}`);
    await page.tab.page.unroute("**/login");
    gateway.isForgetful = true;
    await page.logIn(gateway.token);
    await page.isAsked(
      "The token was right, but the next request was refused: does the browser block cookies?",
    );
    gateway.isForgetful = false;

    // What is pasted may be the whole URL.
    await page.logIn(` ${gateway.url}#${gateway.token}\n`);
    await page.card("b").is("free");
    assert.not(await page.isVisible("token"));
    assert.is(await page.tab.page.inputValue("#token"), "");
    assert.is(await page.focused(), "drives-title");
    assert.not.match(await page.text(), /wrong|#/);
  });
});

chromium("a login that ends while the page is open: Serve asks for the token, and then goes on", async () => {
  await withGateway({}, async ({ gateway, file, open }) => {
    const page = await open(`#${gateway.token}`);
    await page.card("b").is("free");
    await page.card("b").choose(file);
    gateway.sessions!.clear();
    await page.card("b").click("serve");
    await page.isAsked(ENDED);
    assert.equal(await page.tab.page.evaluate(() => ({ ...sessionStorage })), {});
    await page.logIn("wrong");
    await page.isAsked(WRONG);
    await page.logIn(gateway.token);
    await page.card("b").isServing();
    assert.is(await page.card("b").textOf("file-name"), "boot.iso");
    assert.is(gateway.askedFor("b").at(-1)!.headers.upgrade, "websocket");
    assert.is(await page.focused(), "drives-title");
    await page.card("b").stop();
    // A login that ends between two visits is told too.
    gateway.sessions!.clear();
    await page.reload();
    await page.isAsked(ENDED);
  });
});

chromium("logs out: not while it serves, and not where the gateway does not hear it", async () => {
  await withGateway({}, async ({ gateway, file, open }) => {
    const page = await open(`#${gateway.token}`);
    await page.card("b").is("free");
    await page.card("b").choose(file);
    await page.card("b").serve();
    assert.not(await page.isEnabled("log-out"));
    await page.card("b").stop();
    await page.tab.page.route("**/logout", (route) => route.abort());
    await page.logOut();
    await page.shows("news", /^You are still logged in: there is no answer from 127\.0\.0\.1:\d+$/);
    await page.tab.page.unroute("**/logout");
    const [session] = gateway.sessions!;
    await page.logOut();
    await page.isAsked("");
    assert.is(gateway.askedFor("logout").at(-1)!.headers.authorization, `Bearer ${session}`);
    assert.is(gateway.sessions!.size, 0);
    assert.not(await page.isVisible("log-out"));
    // The file is still there, and nothing is served by itself.
    await page.logIn(gateway.token);
    await page.card("b").is("stopped");
    await until("the file can be served", () => page.card("b").isEnabled("serve"));
    assert.is(await page.card("b").textOf("file-name"), "boot.iso");
  });
});

chromium("a server without a login is used as before, even with a token in the URL", async () => {
  for (const fragment of ["", "#something"]) {
    await withGateway({}, async ({ gateway, file, open }) => {
      gateway.sessions = undefined;
      const page = await open(fragment);
      await page.card("b").is("free");
      assert.not(await page.isVisible("log-out"));
      assert.not(await page.isVisible("token"));
      await page.card("b").choose(file);
      await page.card("b").serve();
      const { headers } = gateway.askedFor("b").at(-1)!;
      assert.is(headers["sec-websocket-protocol"], undefined);
      assert.is(headers.authorization, undefined);
    });
  }
});

chromium("forgets a login at what has become a server without one", async () => {
  await withGateway({}, async ({ gateway, open }) => {
    const page = await open(`#${gateway.token}`);
    await page.card("b").is("free");
    gateway.sessions = undefined;
    await page.reload();
    await page.card("b").is("free");
    await page.logOut();
    await until("it has forgotten", async () => !(await page.isVisible("log-out")));
    assert.equal(await page.tab.page.evaluate(() => ({ ...sessionStorage })), {});
    await page.card("b").is("free");
  });
});

chromium("logs in where the browser keeps nothing, until the page is left", async () => {
  await withGateway({}, async ({ gateway, file, context, open }) => {
    const throws = "{ get() { throw new DOMException('denied', 'SecurityError'); } }";
    for (const name of ["sessionStorage", "localStorage"]) {
      await context.addInitScript(`Object.defineProperty(window, "${name}", ${throws})`);
    }
    const page = await open(`#${gateway.token}`);
    await page.card("b").is("free");
    await page.card("b").choose(file);
    await page.card("b").serve();
  });
});

chromium("a place that is in use: who has it, and a button to take it over", async () => {
  await withGateway({}, async ({ gateway, file, open }) => {
    const page = await open(`#${gateway.token}`);
    await page.card("b").choose(file);
    gateway.onWebSocket = (socket) => socket.close(4002, BUSY);
    await page.card("b").is("ready");
    assert.not(await page.card("b").isVisible("take-over"));
    await page.card("b").click("serve");
    await page.card("b").says(new RegExp(`^In use\\. I${BUSY.slice(1)}\\. Take it over`));
    const [session] = gateway.sessions!;
    assert.is(gateway.askedFor("b").at(-1)!.headers["sec-websocket-protocol"], `nbd, token.${session}`);

    // Words alone mean nothing.
    gateway.onWebSocket = (socket) => socket.close(4000, BUSY);
    await page.card("b").click("serve");
    await page.card("b").is("failed");
    assert.not(await page.card("b").isVisible("take-over"));
    gateway.onWebSocket = (socket) => socket.close(4002, BUSY);
    await page.card("b").click("serve");
    await page.card("b").is("in-use");

    // Another configuration may be free.
    await page.card("a").is("free");
    assert.not(await page.card("a").isVisible("take-over"));

    gateway.onWebSocket = (socket) => socket.close(4002, "this configuration was taken over 3 s ago; wait");
    await page.card("b").click("take-over");
    await page.card("b").shows("detail", "This configuration was taken over 3 s ago; wait");
    let first: { close(code: number, reason: string): void } | undefined;
    gateway.onWebSocket = (socket) => {
      first = socket;
      readByte(socket);
    };
    await page.card("b").focus("take-over");
    await page.tab.page.keyboard.press("Enter");
    await page.card("b").isServing();
    const asked = gateway.askedFor("b").at(-1)!.headers["sec-websocket-protocol"];
    assert.is(asked, `nbd, token.${session}, take-over`);
    assert.is(await page.focused(), "stop");
    assert.not(await page.card("b").isVisible("take-over"));

    const count = gateway.askedFor("b").length;
    first!.close(4001, "taken over by 10.9.0.3");
    await page.card("b").says(/^Taken over\. Taken over by 10\.9\.0\.3\. Agree with whoever has it now/);
    // Final: by itself it does nothing any more.
    await new Promise((resolve) => setTimeout(resolve, 1500));
    assert.is(gateway.askedFor("b").length, count);
    await page.card("b").says(/^Taken over\. Taken over by 10\.9\.0\.3\. Agree with whoever has it now/);
    for (const again of ["serve", "take-over"] as const) assert.ok(await page.card("b").isEnabled(again));
  });
});

chromium("without a login, the takeover asks for the subprotocol nbd too", async () => {
  await withGateway({}, async ({ gateway, file, open }) => {
    gateway.sessions = undefined;
    gateway.onWebSocket = (socket) => socket.close(4002, "this configuration is in use by another session");
    const page = await open();
    await page.card("b").choose(file);
    await page.card("b").click("serve");
    await page.card("b").shows("detail", "This configuration is in use by another session");
    gateway.onWebSocket = readByte;
    await page.card("b").click("take-over");
    await page.card("b").isServing();
    assert.is(gateway.askedFor("b").at(-1)!.headers["sec-websocket-protocol"], "nbd, take-over");
  });
});

tests.run();
