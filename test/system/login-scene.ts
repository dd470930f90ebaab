/** The page's login, with a server in the gateway's place. */
import { writeFile } from "node:fs/promises";
import type { Browser, BrowserContext, BrowserContextOptions } from "playwright-core";
import type { Test } from "uvu";
import { openChromium } from "../browser.ts";
import { needing, Sandbox } from "../harness.ts";
import { type ChromiumPage, openPage } from "../page/open.ts";
import { StandInGateway, type StandInOptions } from "../stand-in-page-server.ts";

/** What the page says to a token that is not the gateway's. */
export const WRONG = "This is not the token of this gateway";

/** What a gateway says of a configuration that another session has. */
export const BUSY = "in use since 18:57 by boot.iso from 10.9.0.2, silent for 12 s";

export interface Scene {
  gateway: StandInGateway;
  /** What is chosen on the page. */
  file: string;
  context: BrowserContext;
  /** Opens the page in a tab of its own. */
  open(fragment?: string): Promise<ChromiumPage>;
}

export type SceneOptions = StandInOptions & { contextOptions?: BrowserContextOptions };

/** A test that needs Chromium, and what it is played in. Chromium runs from before the first test until after the last. */
export function inChromium(tests: Test) {
  let browser: Browser;
  let sandbox: Sandbox;
  const chromium = needing(tests, ["chromium"]);
  if (chromium === tests) {
    tests.before(async () => {
      sandbox = new Sandbox();
      await writeFile(sandbox.path("boot.iso"), "x".repeat(512));
      browser = await openChromium();
    });
    tests.after(async () => {
      await browser.close();
      await sandbox.end();
    });
  }
  const withGateway = (options: SceneOptions, use: (scene: Scene) => Promise<void>) =>
    play(browser, sandbox.path("boot.iso"), options, use);
  return { chromium, withGateway };
}

/** Has a server in the gateway's place, and a browser that has not been there before; both are gone afterwards. */
async function play(
  browser: Browser,
  file: string,
  { contextOptions, ...options }: SceneOptions,
  use: (scene: Scene) => Promise<void>,
): Promise<void> {
  const gateway = new StandInGateway(options);
  await gateway.listen();
  const context = await browser.newContext({ ignoreHTTPSErrors: true, ...contextOptions });
  const pages: ChromiumPage[] = [];
  const open = async (fragment = "") => {
    const page = await openPage(context, gateway.url + fragment);
    pages.push(page);
    return page;
  };
  try {
    await use({ gateway, file, context, open });
    for (const page of pages) await page.isQuiet();
  } finally {
    await context.close();
    gateway.end();
  }
}
