/** A gateway with a page in Chromium, a cable between them that can be cut, and somebody who reads the disk. */
import type { Browser, BrowserContext } from "playwright-core";
import { GatewayScene } from "../../page/gateway-scene.ts";
import { type ChromiumPage, openPage } from "../../page/open.ts";

export class PageScene extends GatewayScene {
  readonly #contexts = new Set<BrowserContext>();

  /** A browser of a person who has not been there before. */
  async context(browser: Browser): Promise<BrowserContext> {
    const context = await browser.newContext();
    this.#contexts.add(context);
    return context;
  }

  /** Opens the page in a tab. Whoever leaves it while it serves says that they mean it. */
  open(context: BrowserContext): Promise<ChromiumPage> {
    return openPage(context, this.address);
  }

  /** Opens the page in a tab, and serves the image. */
  async serve(context: BrowserContext): Promise<ChromiumPage> {
    const page = await this.open(context);
    await page.card().choose(this.image);
    await page.card().serve();
    await this.isAttached();
    return page;
  }

  override async end(): Promise<void> {
    for (const context of this.#contexts) await context.close();
    await super.end();
  }
}

/** What this browser keeps for the page. */
export function keptBy({ tab }: ChromiumPage): Promise<string> {
  return tab.evaluate(`localStorage.getItem("nbd-proxy session /local") ?? ""`);
}
