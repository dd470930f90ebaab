/** Chromium, and what a person does on the page. */
import { type Browser, chromium, type Page } from "playwright-core";
import { until } from "./harness.ts";

/** What keeps it from asking other machines for anything, and lets root run it. */
export const chromiumSwitches = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * Starts Debian's Chromium without a window.
 * @param executablePath a script that starts it elsewhere, as in another network namespace
 */
export function openChromium(executablePath = "/usr/bin/chromium"): Promise<Browser> {
  return chromium.launch({ executablePath, headless: true, args: chromiumSwitches });
}

/** Ends a browser as the kernel's out-of-memory killer would: all of its processes at once, without a word. */
export async function killChromium(browser: Browser): Promise<void> {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const leader = processInfo.find(({ type }) => type === "browser");
  if (!leader) throw new Error("Chromium does not say which process it is");
  process.kill(-leader.id, "SIGKILL");
}

/** Opens the page and chooses a file there. */
export async function openPage(browser: Pick<Browser, "newPage">, url: string, file: string): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(url);
  await page.setInputFiles("#file", file);
  return page;
}

/** What the page says about its state. */
export function stateOf(page: Page): Promise<string> {
  return page.innerText("#state");
}

/** Serves with one click, and waits until the other machine has the disk. */
export async function serve(page: Page, milliseconds?: number): Promise<void> {
  await page.click("#serve");
  const serves = async () => (await stateOf(page)).startsWith("Serving");
  await until("the page says that it serves", serves, milliseconds);
}

/** Stops by a click, and waits until the page says that it has ended. */
export async function stop(page: Page): Promise<void> {
  await page.click("#stop");
  await until("the page says that it has ended", async () => (await stateOf(page)).startsWith("Ended"));
}
