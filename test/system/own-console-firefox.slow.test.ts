/** The page and the server of test/examples/console in Firefox. What is the same in each browser is tested in Chromium only. */
import { needing, Sandbox, suite } from "../harness.ts";
import { startFirefox } from "../page/firefox.ts";
import type { Browser } from "../page/tab.ts";
import { OwnConsole, OwnPage, servesTwice } from "./own-console.ts";

const tests = suite<{ sandbox: Sandbox; console: OwnConsole }>("a console that is not ours, in Firefox");

let firefox: Browser | undefined;

tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.console = new OwnConsole(context.sandbox);
  await context.console.start();
});
tests.after.each(({ sandbox }) => sandbox.end());
tests.after(() => firefox?.close());

for (const name of ["page.html", "classic.html"]) {
  needing(tests, ["firefox-esr", "nbdcopy"])(
    `${name}: a disk, its progress, a stop in order, and again at once`,
    async ({ console }) => {
      firefox ??= await startFirefox();
      const page = await OwnPage.open(firefox, `${console.origin}/${name}`);
      await page.choose(console.image);
      await page.click("start");
      await page.is("serving");
      await servesTwice(console, page);
    },
  );
}

tests.run();
