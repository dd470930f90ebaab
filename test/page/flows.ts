/** What people do on the page from beginning to end, for each browser in a suite of its own. */
import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import * as assert from "uvu/assert";
import { needing, suite, until } from "../harness.ts";
import { randomImage } from "../image.ts";
import { GatewayScene, SIZE } from "./gateway-scene.ts";
import { MediaPage } from "./media-page.ts";
import { type Browser, inPage } from "./tab.ts";

/** The configurations of the gateway. */
const FIRST = "cd";
const SECOND = "usb";

/** What the page says of what a browser lacks. */
const LACKS: Readonly<Record<string, RegExp>> = {
  handles: /does not keep where a file is/,
  locks: /has no locks for pages/,
  notifications: /cannot notify you/,
};

interface Context {
  scene: GatewayScene;
  /** Opens the page in a tab of the one person that there is. */
  open(address?: string): Promise<MediaPage>;
  /** What a person who looks and one who cannot see find at this moment. */
  look(page: MediaPage): Promise<void>;
}

/**
 * @param programs that the browser needs
 * @param hasAxe whether each state is looked through for what keeps people out: the same in each browser, and slow
 */
export function flows(
  name: string,
  { programs, start, hasAxe = false }: { programs: string[]; start(): Promise<Browser>; hasAxe?: boolean },
): { run(): void } {
  let browser: Browser | undefined;
  const tests = suite<Context>(`what people do on the page, in ${name}`);
  const flow = needing(tests, [...programs, "nbdcopy"]);

  tests.before.each(async (context) => {
    browser ??= await start();
    const pages: MediaPage[] = [];
    context.scene = await new GatewayScene({ names: [FIRST, SECOND] }).start();
    context.open = async (address = context.scene.address) => {
      const page = await MediaPage.open(await browser!.newTab(), address);
      pages.push(page);
      return page;
    };
    context.look = async (page) => {
      await page.isQuiet();
      if (hasAxe) assert.equal(await page.faults(), [], await page.card(FIRST).kind());
    };
    context.scene.sandbox.onEnd(async () => {
      for (const page of pages) await page.close().catch(() => {});
    });
  });
  tests.after.each(({ scene }) => scene.end());
  tests.after(() => browser?.close());

  flow("a wrong token, the right one; choose, serve, eject", async ({ scene, open, look }) => {
    const page = await open(`${scene.url}#wrong`);
    await page.isAsked(/./);
    await look(page);
    await page.logIn(scene.token!);
    const card = page.card(FIRST);
    await card.is("free");
    assert.equal(await page.cards(), [FIRST, SECOND]);
    assert.is(await page.tab.evaluate("location.href"), scene.url, "no token is in the address bar");
    await look(page);
    await card.choose(scene.image);
    await card.is("ready");
    assert.match(await card.textOf("file-name"), /disk\.img/);
    await look(page);
    await card.serve();
    const copy = await scene.startCopy();
    copy.goOn();
    await copy.isWhole();
    await card.is("serving");
    await look(page);
    await card.stop();
    await scene.isDetached();
    await look(page);
    await page.logOut();
    await page.isAsked("");
    await look(page);
  });

  flow("a file dropped, another chosen: two are served at once, each ejected by itself", async (context) => {
    const { scene, open, look } = context;
    const page = await open();
    const [first, second] = [page.card(FIRST), page.card(SECOND)];
    await first.is("free");
    const other = scene.sandbox.path("other.img");
    const digest = await randomImage(other, SIZE / 2);
    await first.drop(scene.image);
    await first.is("ready");
    await second.choose(other);
    await second.is("ready");
    await first.serve();
    await second.serve();
    const socket = scene.socketOf(SECOND);
    const copies = [await scene.startCopy(), await scene.startCopy({ socket, digest })];
    await look(page);
    for (const copy of copies) copy.goOn();
    for (const copy of copies) await copy.isWhole();
    await first.stop();
    await scene.isDetached();
    await second.is("serving");
    assert.ok(existsSync(socket), "the other one is still there");
    await second.stop();
    await scene.isDetached(socket);
    await look(page);
  });

  flow(
    "somebody else has it: said, taken over, and the one before is told",
    async ({ scene, open, look }) => {
      const [mine, theirs] = [await open(), await open()];
      const [first, second] = [mine.card(FIRST), theirs.card(FIRST)];
      await second.is("free");
      await second.choose(scene.image);
      await first.choose(scene.image);
      await first.is("ready");
      await first.serve();
      await second.isInUse();
      await look(theirs);
      const copy = await scene.startCopy();
      await second.click("take-over");
      await first.is("taken-over");
      await second.isServing();
      await look(mine);
      copy.goOn();
      await second.stop();
    },
  );

  flow("somebody else has it: ejected, after a question", async ({ scene, open, look }) => {
    const [mine, theirs] = [await open(), await open()];
    const [first, second] = [mine.card(FIRST), theirs.card(FIRST)];
    await first.choose(scene.image);
    await first.is("ready");
    await first.serve();
    await scene.isAttached();
    await second.is("held");
    await second.click("eject");
    await look(theirs);
    await theirs.answer(false);
    await second.is("held");
    await first.isServing();
    await second.click("eject");
    await theirs.answer(true);
    await first.is("ejected");
    await scene.isDetached();
    await second.is("free");
    await look(mine);
  });

  flow("the gateway ends in order and comes again: ejected, and served again by a click", async (context) => {
    const { scene, open, look } = context;
    const page = await open();
    const card = page.card(FIRST);
    await card.choose(scene.image);
    await card.is("ready");
    await card.serve();
    await scene.isAttached();
    const { port } = scene;
    scene.gateway.kill();
    await scene.gateway.exit;
    // The page asks by a plain request, which a gateway that ends may have answered still.
    await card.is("ejected", "gateway-gone");
    // It does not come back by itself, unlike to one that was killed.
    assert.ok(await card.isEnabled("serve"));
    await scene.startGateway(port);
    await until("it is served again", async () => {
      if (await card.isEnabled("serve")) await card.click("serve");
      return ["attached", "serving"].includes(await card.kind());
    });
    await look(page);
    await card.stop();
  });

  flow("the gateway is killed and comes again: the page serves by itself", async ({ scene, open, look }) => {
    const page = await open();
    const card = page.card(FIRST);
    await card.choose(scene.image);
    await card.is("ready");
    await card.serve();
    // Only who was ever asked for something comes back.
    const first = await scene.startCopy();
    first.goOn();
    await first.isWhole();
    const { port } = scene;
    scene.gateway.kill("SIGKILL");
    await scene.gateway.exit;
    await card.is("gateway-gone");
    assert.ok(await card.isEnabled("stop"));
    await look(page);
    await scene.startGateway(port);
    await card.isServing(20_000);
    const copy = await scene.startCopy();
    copy.goOn();
    await copy.isWhole();
    await card.stop();
  });

  flow("the link is cut: said, and the reader notices a pause only", async ({ scene, open, look }) => {
    const page = await open();
    const card = page.card(FIRST);
    await card.choose(scene.image);
    await card.is("ready");
    await card.serve();
    const copy = await scene.startCopy();
    // The gateway answers still, and so it is not said to be gone.
    const before = scene.relay.connections;
    scene.relay.hasNoWebSockets = true;
    scene.relay.cut();
    await card.is("lost");
    await until("the gateway is asked", () => scene.relay.connections > before + 2);
    await card.is("lost");
    await look(page);
    copy.goOn();
    scene.relay.hasNoWebSockets = false;
    await card.isServing(20_000);
    await copy.isWhole();
    await card.stop();
  });

  for (const what of ["changed", "deleted"] as const) {
    flow(
      `the file is ${what} under it: errors for readers, said; it goes on when the file is back`,
      async (context) => {
        const { scene, open, look } = context;
        const page = await open();
        const card = page.card(FIRST);
        await card.choose(scene.image);
        await card.is("ready");
        await card.serve();
        await scene.isAttached();
        const aside = scene.sandbox.path("aside.img");
        await rename(scene.image, aside);
        if (what === "changed") await randomImage(scene.image, SIZE);
        const uri = `nbd+unix:///?socket=${scene.socket}`;
        const reader = scene.sandbox.start("nbdcopy", [uri, "null:"]);
        assert.is.not(await reader.exit, 0);
        await card.is("unreadable");
        await look(page);
        await rename(aside, scene.image);
        await card.isServing();
        const copy = await scene.startCopy();
        copy.goOn();
        await copy.isWhole();
        await card.stop();
      },
    );
  }

  flow(
    "reloaded in the middle: the same file goes on, and the reader notices a pause only",
    async (context) => {
      const { scene, open, look } = context;
      const page = await open();
      const card = page.card(FIRST);
      await card.choose(scene.image);
      await card.is("ready");
      await card.serve();
      const copy = await scene.startCopy();
      await page.reload();
      copy.goOn();
      // Firefox has kept the file, and so it goes on by itself; of others a file without a handle is wanted again.
      if (page.tab.browser !== "firefox") {
        await card.is("interrupted");
        await look(page);
        await card.choose(scene.image);
      }
      await card.isServing();
      await look(page);
      await copy.isWhole();
      await card.stop();
    },
  );

  flow("what the browser lacks is said", async ({ open }) => {
    const page = await open();
    await page.card(FIRST).is("free");
    const has = await page.tab.evaluate<Record<string, boolean>>(inPage(whatIsThere));
    const told = await page.textOf("lacks");
    for (const [what, words] of Object.entries(LACKS))
      assert.is(words.test(told), !has[what], `${what}: ${told}`);
    assert.is(await page.isVisible("lacks"), Object.values(has).includes(false));
  });

  return tests;
}

function whatIsThere(): Record<string, boolean> {
  return {
    handles: "showOpenFilePicker" in window && "indexedDB" in window,
    locks: "locks" in navigator,
    notifications: "Notification" in window,
  };
}
