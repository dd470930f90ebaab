/** A tab of Firefox, driven by Puppeteer. */
import { type ElementHandle, type KeyInput, launch, type Page } from "puppeteer-core";
import { type Browser, isOfAnswer, type Tab, WATCH_POLICY } from "./tab.ts";

export class FirefoxTab implements Tab {
  readonly browser = "firefox";
  readonly #complaints: string[] = [];
  readonly page: Page;

  private constructor(page: Page) {
    this.page = page;
  }

  static async of(page: Page): Promise<FirefoxTab> {
    const tab = new FirefoxTab(page);
    page.on("console", (message) => {
      const isMeant = ["error", "warn"].includes(message.type()) && !isOfAnswer(message.text());
      if (isMeant) tab.#complaints.push(message.text());
    });
    page.on("pageerror", (error) => {
      const text = error instanceof Error ? error.message : String(error);
      if (!isOfAnswer(text)) tab.#complaints.push(text);
    });
    page.on("dialog", (dialog) => void dialog.accept());
    await page.evaluateOnNewDocument(WATCH_POLICY);
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
    return this.page.evaluate(expression) as Promise<T>;
  }

  async run(statements: string): Promise<void> {
    await this.page.evaluate(`{${statements}}; undefined`);
  }

  async click(element: string): Promise<void> {
    await this.#use(element, (found) => found.click());
  }

  async upload(element: string, files: readonly string[]): Promise<void> {
    await this.#use(element, (found) => (found as ElementHandle<HTMLInputElement>).uploadFile(...files));
  }

  press(key: string): Promise<void> {
    return this.page.keyboard.press(key as KeyInput);
  }

  type(text: string): Promise<void> {
    return this.page.keyboard.type(text);
  }

  resize(width: number, height: number): Promise<void> {
    return this.page.setViewport({ width, height });
  }

  async picture(path: string): Promise<void> {
    await this.page.screenshot({ path: path as `${string}.png`, fullPage: true });
  }

  close(): Promise<void> {
    return this.page.close();
  }

  async #use(element: string, use: (found: ElementHandle<Element>) => Promise<unknown>): Promise<void> {
    const handle = await this.page.evaluateHandle(element);
    const found = handle.asElement() as ElementHandle<Element> | null;
    if (!found) throw new Error(`there is no ${element}`);
    await use(found);
    await handle.dispose();
  }
}

/** Starts Firefox for one person. */
export async function startFirefox(): Promise<Browser> {
  const browser = await launch({
    browser: "firefox",
    executablePath: "/usr/bin/firefox-esr",
    headless: true,
    acceptInsecureCerts: true,
  });
  return {
    name: "firefox",
    newTab: async () => FirefoxTab.of(await browser.newPage()),
    close: () => browser.close(),
  };
}
