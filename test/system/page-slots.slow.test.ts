/** The page around its cards: what it is told, what it remembers, what it says of all cards together. */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import type { Browser, BrowserContext } from "playwright-core";
import * as assert from "uvu/assert";
import { openChromium } from "../browser.ts";
import { needing, suite, until } from "../harness.ts";
import { GatewayScene } from "../page/gateway-scene.ts";
import { type ChromiumPage, openPage } from "../page/open.ts";
import { startWebsocketd } from "../websocketd.ts";

interface Context {
  /** Starts a gateway with two drives. */
  start(config?: object): Promise<GatewayScene>;
  /** Somebody's browser. */
  person(options?: Parameters<Browser["newContext"]>[0]): Promise<BrowserContext>;
}

const FIRST = "cd";
const SECOND = "usb";

let browser: Browser;
const tests = suite<Context>("the page around its cards");
const chromium = needing(tests, ["chromium"]);

tests.before(async () => {
  browser = await openChromium();
});
tests.after(() => browser?.close());

let ends: (() => unknown)[] = [];
tests.before.each((context) => {
  ends = [];
  context.start = async (config = {}) => {
    const scene = new GatewayScene({ names: [FIRST, SECOND], config });
    ends.unshift(() => scene.end());
    return scene.start();
  };
  context.person = async (options = {}) => {
    const made = await browser.newContext(options);
    ends.unshift(() => made.close());
    return made;
  };
});
tests.after.each(async () => {
  for (const end of ends) await end();
});

/** A figure of the gateway, or another answer of it. */
async function ask({ url, token }: GatewayScene, path: string): Promise<string> {
  const response = await fetch(new URL(path, url), { headers: { Authorization: `Bearer ${token}` } });
  return response.text();
}

/** How many read the gateway's events. */
async function listeners(scene: GatewayScene): Promise<number> {
  return Number(/^nbd_gateway_event_listeners (\d+)$/m.exec(await ask(scene, "metrics"))?.[1]);
}

const isTold = (page: ChromiumPage, name = FIRST) => page.card(name).is("free");
const titleOf = (page: ChromiumPage) => page.tab.page.title();
const iconOf = (page: ChromiumPage) =>
  page.tab.evaluate<string>("document.querySelector('link[rel=icon]').href");

/** What can be done with files that were served before, by the names of the buttons. */
const before = (page: ChromiumPage) =>
  page.tab.evaluate<string[]>(
    "[...document.querySelectorAll('#before:not([hidden]) li button')].map((one) => one.getAttribute('aria-label'))",
  );

const clickBefore = (page: ChromiumPage, name: string) =>
  page.tab.click(
    `document.querySelector(${JSON.stringify(`#before button[aria-label=${JSON.stringify(name)}]`)})`,
  );

chromium("tabs that are seen share one connection; hidden ones have none", async ({ start, person }) => {
  const scene = await start();
  const me = await person();
  const [first, second] = [await openPage(me, scene.address), await openPage(me, scene.address)];
  await Promise.all([isTold(first), isTold(second)]);
  await until("one of them listens", async () => (await listeners(scene)) === 1);
  await first.card(FIRST).choose(scene.image);
  await first.card(FIRST).serve();
  await second.card(FIRST).is("held");
  await second.card(FIRST).says(/another tab of this browser/);
  assert.is(await listeners(scene), 1);
  for (const [hidden, seen] of [
    [first, second],
    [second, first],
  ] as const) {
    await hidden.hide();
    await seen.hide(false);
    await until("the other one listens", async () => (await listeners(scene)) === 1);
  }
  await first.hide();
  await until("nobody listens", async () => (await listeners(scene)) === 0);
  await second.hide(false);
  await until("it listens again", async () => (await listeners(scene)) === 1);
  await first.card(FIRST).stop();
  await second.card(FIRST).is("free");
  for (const page of [first, second]) assert.equal(await page.tab.complaints(), []);
});

chromium("where the gateway has no room for one more reader, its status is looked at", async (context) => {
  const scene = await context.start({ "max-event-listeners": 1 });
  const mine = await openPage(await context.person(), scene.address);
  await until("I listen", async () => (await listeners(scene)) === 1);
  const theirs = await openPage(await context.person(), scene.address, undefined);
  await isTold(theirs);
  await mine.card(SECOND).choose(scene.image);
  await mine.card(SECOND).serve();
  await theirs.card(SECOND).is("held");
  await theirs.card(SECOND).says(/127\.0\.0\.1/);
  await theirs.card(SECOND).says(/disk.*\.img/);
  assert.is(await listeners(scene), 1);
  await mine.close();
  await until("they listen", async () => (await listeners(scene)) === 1, 60_000);
});

chromium("what somebody else serves is ejected after a question", async ({ start, person }) => {
  const scene = await start();
  const theirs = await openPage(await person(), scene.address);
  await theirs.card(FIRST).choose(scene.image);
  await theirs.card(FIRST).serve();
  const mine = await openPage(await person(), scene.address);
  await mine.card(FIRST).is("held");
  await mine.card(FIRST).click("eject");
  assert.match(await mine.textOf("question"), /127\.0\.0\.1 serves .*disk.*\.img.* as cd/);
  await mine.tab.press("Escape");
  await mine.card(FIRST).click("eject");
  assert.equal(await mine.faults(), []);
  await mine.tab.click("document.querySelector('#question [value=\"\"]')");
  assert.match(await ask(scene, "status"), /"attached"/, "nothing is ejected without a yes");
  await mine.card(FIRST).click("eject");
  await mine.tab.click("document.querySelector('#question [value=yes]')");
  await theirs.card(FIRST).is("ejected");
  await mine.card(FIRST).is("free");
  assert.match(await mine.textOf("news"), /^cd.* was ejected$/);
  await mine.isQuiet();
});

chromium("what was served before is served again by one click, and can be forgotten", async (context) => {
  const scene = await context.start();
  const me = await context.person();
  const page = await openPage(me, scene.address);
  await isTold(page);
  await page.card(SECOND).dropByMouse(scene.image);
  await page.card(SECOND).is("ready");
  assert.equal(await before(page), []);
  await page.card(SECOND).serve();
  await until("it is listed", async () => (await before(page)).length === 2);
  const [serve, forget] = await before(page);
  assert.match(serve!, /^Serve again: .*disk.*\.img.*, as usb$/);
  await page.card(SECOND).stop();
  await page.reload();
  await isTold(page, SECOND);
  await until("it is listed still", async () => (await before(page)).length === 2);
  assert.equal(await page.faults(), []);
  await clickBefore(page, serve!);
  await page.card(SECOND).isServing();
  assert.equal(await before(page), [serve, forget], "it is listed once");
  await page.card(SECOND).stop();
  await clickBefore(page, forget!);
  await until("it is forgotten", async () => (await before(page)).length === 0);
  assert.not(await page.isVisible("before"));
  await page.isQuiet();
});

chromium("logging out forgets what was served before", async ({ start, person }) => {
  const scene = await start();
  const page = await openPage(await person(), scene.address);
  await isTold(page);
  await page.card(FIRST).dropByMouse(scene.image);
  await page.card(FIRST).is("ready");
  await page.card(FIRST).serve();
  await until("it is listed", async () => (await before(page)).length === 2);
  await page.card(FIRST).stop();
  await page.logOut();
  await page.isAsked("");
  await page.logIn(scene.token!);
  await page.card(SECOND).is("free");
  assert.equal(await before(page), []);
});

chromium("reloaded, it goes on with each image by itself while it may read it", async ({ start, person }) => {
  const scene = await start();
  const page = await openPage(await person(), scene.address);
  await isTold(page);
  for (const name of [FIRST, SECOND]) {
    await page.card(name).dropByMouse(scene.image);
    await page.card(name).is("ready");
    await page.card(name).serve();
  }
  const copies = [await scene.startCopy(), await scene.startCopy({ socket: scene.socketOf(SECOND) })];
  await page.reload();
  assert.ok(page.tab.asked.includes("beforeunload"), "it asks before it is left");
  for (const copy of copies) copy.goOn();
  for (const name of [FIRST, SECOND]) await page.card(name).isServing();
  for (const copy of copies) await copy.isWhole();
  await page.isQuiet();
});

chromium("a file dropped beside the cards is for the only free one", async ({ start, person }) => {
  const scene = await start();
  const page = await openPage(await person(), scene.address);
  await isTold(page);
  const dropBeside = async () => {
    const session = await page.tab.session();
    const data = { items: [], files: [scene.image], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"] as const) {
      await session.send("Input.dispatchDragEvent", { type, x: 5, y: 5, data });
    }
  };
  await dropBeside();
  await until(
    "a hint",
    async () => (await page.textOf("news")) === "Drop the file on the drive that it is for",
  );
  assert.equal([await page.card(FIRST).kind(), await page.card(SECOND).kind()], ["free", "free"]);
  await page.card(FIRST).choose(scene.image);
  await page.card(FIRST).serve();
  await dropBeside();
  await page.card(SECOND).is("ready");
  assert.is(page.tab.page.url(), scene.url);
});

chromium("the tab's title and icon say the worst of what the page serves", async ({ start, person }) => {
  const scene = await start();
  const page = await openPage(await person(), scene.address);
  await isTold(page);
  assert.is(await titleOf(page), "Virtual media");
  assert.match(await iconOf(page), /\/icon\.svg$/);
  await page.card(FIRST).choose(scene.image);
  await page.card(FIRST).serve();
  const copy = await scene.startCopy();
  copy.goOn();
  await page.card(FIRST).is("serving");
  await until("it says so", async () =>
    /^Serving: .*disk.*\.img.* – Virtual media$/.test(await titleOf(page)),
  );
  assert.match(await iconOf(page), /\/icons\/good\.svg$/);
  await page.card(SECOND).choose(scene.image);
  await page.card(SECOND).serve();
  scene.relay.isDown = true;
  scene.relay.cut();
  const warns = async () => /\/icons\/(warning|bad)\.svg$/.test(await iconOf(page));
  await until("its icon says so", warns, 30_000);
  await until("it is said of both", async () => /\(2\) – Virtual media$/.test(await titleOf(page)), 30_000);
  const icon = await fetch(
    new URL((await iconOf(page)).replace(/^.*\/icons/, "icons"), scene.gateway.stdout.trim()),
  );
  assert.match(icon.headers.get("Content-Type")!, /^image\/svg\+xml/);
  await page.isQuiet();
});

chromium("which machine it is, and that it does not answer, is said", async ({ start, person }) => {
  const scene = await start();
  const page = await openPage(await person(), scene.address);
  await isTold(page);
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const machine = `${hostname()} · nbd-gateway ${version}`;
  await until("its name", async () => (await page.textOf("machine")) === machine);
  const { port } = scene;
  scene.gateway.kill();
  await scene.gateway.exit;
  await until("it is said", async () => /there is no answer from/.test(await page.textOf("news")));
  assert.equal(await page.cards(), [FIRST, SECOND]);
  await scene.startGateway(port);
  await until("it is back", async () => (await page.textOf("news")) === "The gateway answers again", 60_000);
});

chromium("other configurations have cards as soon as the gateway knows them", async ({ start, person }) => {
  const scene = await start();
  const page = await openPage(await person(), scene.address);
  await isTold(page);
  await page.card(FIRST).choose(scene.image);
  await page.card(FIRST).serve();
  await scene.configure(["new", SECOND]);
  scene.gateway.kill("SIGHUP");
  await until("there is another card", async () => (await page.cards()).includes("new"));
  await page.card("new").is("free");
  await page.card(FIRST).isServing();
  await page.card(FIRST).click("stop");
  await until("that which has gone has none", async () => !(await page.cards()).includes(FIRST));
  assert.equal(await page.cards(), ["new", SECOND]);
});

chromium("it speaks German where the browser does, and English by a button", async ({ start, person }) => {
  const scene = await start();
  const page = await openPage(await person({ locale: "de-DE" }), scene.address);
  await isTold(page);
  assert.is(await titleOf(page), "Virtuelle Medien");
  await page.card(FIRST).says(/^Frei/);
  assert.equal(await page.faults(), []);
  await page.tab.click(page.outside("language"));
  await page.card(FIRST).says(/^Free/);
  assert.is(await titleOf(page), "Virtual media");
  await page.reload();
  await isTold(page);
  assert.is(await page.tab.evaluate("document.documentElement.lang"), "en");
});

chromium(
  "a browser without locks, database and channels serves all the same, and it is said",
  async (context) => {
    const scene = await context.start();
    const me = await context.person();
    await me.addInitScript(() => {
      for (const name of ["locks"]) Object.defineProperty(navigator, name, { value: undefined });
      for (const name of ["indexedDB", "BroadcastChannel", "Notification", "showOpenFilePicker"]) {
        Object.defineProperty(globalThis, name, { value: undefined });
      }
      for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(globalThis, name, {
          get() {
            throw new DOMException("refused", "SecurityError");
          },
        });
      }
    });
    const pages = [await openPage(me, scene.address), await openPage(me, scene.address)];
    const [page] = pages;
    for (const one of pages) await isTold(one);
    await until("each listens by itself", async () => (await listeners(scene)) === 2);
    await page!.card(FIRST).choose(scene.image);
    await page!.card(FIRST).serve();
    const copy = await scene.startCopy();
    copy.goOn();
    await copy.isWhole();
    assert.ok(await page!.isVisible("lacks"));
    assert.is(await page!.tab.evaluate("document.querySelectorAll('#lacks li').length"), 5);
    await page!.card(FIRST).stop();
    await page!.isQuiet();
  },
);

needing(tests, ["chromium", "websocketd"])(
  "behind websocketd there is one card",
  async ({ start, person }) => {
    const scene = await start();
    const relay = await startWebsocketd(scene.sandbox, ["cat"]);
    const page = await openPage(await person(), relay.page, scene.image);
    assert.equal(await page.cards(), [""]);
    await page.card().is("ready");
    assert.not(await page.isVisible("token"));
    assert.not(await page.isVisible("log-out"));
    assert.is(await page.textOf("news"), "");
    await page.isQuiet();
  },
);

tests.run();
