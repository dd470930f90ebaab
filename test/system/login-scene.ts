/** The page's login, with a server in the gateway's place. */
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";
import type { Test } from "uvu";
import * as assert from "uvu/assert";
import { openChromium, stateOf } from "../browser.ts";
import { needing, until } from "../harness.ts";
import { StandInGateway, type StandInOptions } from "../stand-in-page-server.ts";

/** What is chosen on the page. */
export const file = { name: "boot.iso", mimeType: "", buffer: Buffer.from("x".repeat(512)) };

/** What the page says to a token that is not the gateway's. */
export const WRONG = "This is not the token of this gateway";

/** What a gateway says of a configuration that another session has. */
export const BUSY = "in use since 18:57 by boot.iso from 10.9.0.2, silent for 12 s";

export interface Scene {
  gateway: StandInGateway;
  context: BrowserContext;
  /** Opens the page in a tab of its own. */
  open(fragment?: string): Promise<Page>;
  /** What the tabs have complained about, as of what the security policy forbids. */
  complaints: string[];
}

export type SceneOptions = StandInOptions & { contextOptions?: BrowserContextOptions };

/** A test that needs Chromium, and what it is played in. Chromium runs from before the first test until after the last. */
export function inChromium(tests: Test) {
  let browser: Browser;
  const chromium = needing(tests, ["chromium"]);
  if (chromium === tests) {
    tests.before(async () => {
      browser = await openChromium();
    });
    tests.after(() => browser.close());
  }
  const withGateway = (options: SceneOptions, use: (scene: Scene) => Promise<void>) =>
    play(browser, options, use);
  return { chromium, withGateway };
}

/** Has a server in the gateway's place, and a browser that has not been there before; both are gone afterwards. */
async function play(
  browser: Browser,
  { contextOptions, ...options }: SceneOptions,
  use: (scene: Scene) => Promise<void>,
): Promise<void> {
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

/** Waits until the page says this of its state. */
export async function says(page: Page, words: string | RegExp): Promise<void> {
  const isSaid = (text: string) => (typeof words === "string" ? text === words : words.test(text));
  await until(`the page says ${words}`, async () => isSaid(await stateOf(page)));
}

/** Gives a token to the field. */
export async function give(page: Page, token: string): Promise<void> {
  await page.fill("#token", token);
  await page.keyboard.press("Enter");
}

/** Waits until the page asks for the token, with these words. */
export async function isAsked(page: Page, words: string): Promise<void> {
  await until("the field", () => page.isVisible("#token"));
  await until(`the words ${words}`, async () => (await page.innerText("#login-words")) === words);
  assert.is(await page.evaluate(() => document.activeElement?.id), "token");
}
