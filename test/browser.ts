/** Chromium without a window. */
import { type Browser, chromium } from "playwright-core";

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
