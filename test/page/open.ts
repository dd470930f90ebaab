import type { Browser, BrowserContext } from "playwright-core";
import { ChromiumTab } from "./chromium.ts";
import { MediaPage } from "./media-page.ts";

/** The page in Chromium. */
export type ChromiumPage = MediaPage<ChromiumTab>;

/** Opens the page in Chromium, and chooses a file there if one is given. With a browser it is somebody's who has not been there before. */
export async function openPage(
  browser: Pick<Browser | BrowserContext, "newPage">,
  url: string,
  file?: string,
): Promise<ChromiumPage> {
  const page = await MediaPage.open(await ChromiumTab.of(await browser.newPage()), url);
  if (file !== undefined) await page.card().choose(file);
  return page;
}
