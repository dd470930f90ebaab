/** A tab of Chromium, driven by Playwright. */
import type { BrowserContext, CDPSession, ElementHandle, Page } from "playwright-core";
import { openChromium } from "../browser.ts";
import { type Browser, isOfAnswer, type Tab, WATCH_POLICY } from "./tab.ts";

export class ChromiumTab implements Tab {
  readonly browser = "chromium";
  readonly #complaints: string[] = [];
  /** The kinds of dialogs that there were. */
  readonly asked: string[] = [];
  /** Whether a person who is asked whether they mean to leave the page says no. */
  isStaying = false;
  /** For what only Playwright can do. */
  readonly page: Page;
  #session: CDPSession | undefined;

  private constructor(page: Page) {
    this.page = page;
  }

  static async of(page: Page): Promise<ChromiumTab> {
    const tab = new ChromiumTab(page);
    page.on("console", (message) => {
      const isMeant = ["error", "warning"].includes(message.type()) && !isOfAnswer(message.text());
      if (isMeant) tab.#complaints.push(message.text());
    });
    page.on("pageerror", (error) => tab.#complaints.push(error.stack ?? error.message));
    page.on("dialog", async (dialog) => {
      tab.asked.push(dialog.type());
      await (tab.isStaying ? dialog.dismiss() : dialog.accept());
    });
    await page.addInitScript(WATCH_POLICY);
    return tab;
  }

  async complaints(): Promise<readonly string[]> {
    return this.#complaints;
  }

  async goto(url: string): Promise<void> {
    await this.page.goto(url);
  }

  async reload(): Promise<void> {
    await this.page.reload();
  }

  evaluate<T>(expression: string): Promise<T> {
    return this.page.evaluate<T>(expression);
  }

  async run(statements: string): Promise<void> {
    await this.page.evaluate(`{${statements}}; undefined`);
  }

  async click(element: string): Promise<void> {
    const handle = await this.page.evaluateHandle<Element | null>(element);
    const found = handle.asElement() as ElementHandle<Element> | null;
    if (!found) throw new Error(`there is no ${element}`);
    await found.click();
    await found.dispose();
  }

  /** By its own protocol: Playwright may send a file's bytes, where a browser finds the file itself. */
  async upload(element: string, files: readonly string[]): Promise<void> {
    const session = await this.session();
    const { result } = await session.send("Runtime.evaluate", { expression: element });
    const { objectId } = result;
    if (objectId === undefined) throw new Error(`there is no ${element}`);
    await session.send("DOM.setFileInputFiles", { objectId, files: [...files] });
    await session.send("Runtime.releaseObject", { objectId });
  }

  press(key: string): Promise<void> {
    return this.page.keyboard.press(key);
  }

  type(text: string): Promise<void> {
    return this.page.keyboard.type(text);
  }

  resize(width: number, height: number): Promise<void> {
    return this.page.setViewportSize({ width, height });
  }

  async picture(path: string): Promise<void> {
    await this.page.screenshot({ path, fullPage: true });
  }

  /** Drops files as the mouse does; the browser gives the page handles of them. */
  async dropAt(x: number, y: number, files: readonly string[]): Promise<void> {
    const session = await this.session();
    const data = { items: [], files: [...files], dragOperationsMask: 1 };
    for (const type of ["dragEnter", "dragOver", "drop"] as const) {
      await session.send("Input.dispatchDragEvent", { type, x, y, data });
    }
  }

  /** Speaks with the browser itself about this tab. */
  async session(): Promise<CDPSession> {
    this.#session ??= await this.page.context().newCDPSession(this.page);
    return this.#session;
  }

  close(): Promise<void> {
    return this.page.close();
  }
}

/** Starts Chromium for one person. */
export async function startChromium(): Promise<Browser> {
  const browser = await openChromium();
  const context: BrowserContext = await browser.newContext({ ignoreHTTPSErrors: true });
  return {
    name: "chromium",
    newTab: async () => ChromiumTab.of(await context.newPage()),
    close: () => browser.close(),
  };
}
