/** npm run dev: what is changed is built, and the gateway runs what was built last. */
import { cpSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { root, Sandbox, suite, until, within } from "../harness.ts";

const tests = suite<{ sandbox: Sandbox }>("npm run dev");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

const BUILD_TIME = 60_000;

tests("a change is built and served; a fault in it is told, and changes nothing", async ({ sandbox }) => {
  for (const name of [
    "bin",
    "src",
    "web",
    "config.json",
    "package.json",
    "rollup.config.mjs",
    "tsconfig.json",
  ])
    cpSync(join(root, name), sandbox.path(name), { recursive: true });
  symlinkSync(join(root, "node_modules"), sandbox.path("node_modules"));
  const running = sandbox.start(process.execPath, ["bin/dev.mjs", "--port", "0"], {
    env: { XDG_RUNTIME_DIR: sandbox.folder },
  });
  const url = () => running.stdout.trim().split("\n").at(-1)!;
  const serves = async (title: string) => {
    const page = await fetch(url())
      .then((answer) => answer.text())
      .catch(() => "");
    return page.includes(title);
  };
  /** Changes a file, now and then again, as a change while a build begins may go unnoticed, until something is so. */
  const change = (path: string, text: string, what: string, isSo: () => boolean | Promise<boolean>) => {
    let next = 0;
    const look = () => {
      if (performance.now() > next) {
        writeFileSync(path, text);
        next = performance.now() + 15_000;
      }
      return isSo();
    };
    return until(what, look, BUILD_TIME);
  };

  await until("the first page", () => serves("<title>"), BUILD_TIME);
  const first = url();
  const html = sandbox.path("web/index.html");
  const changed = readFileSync(html, "utf8").replace("<title>", "<title>Changed: ");
  await change(html, changed, "the changed page", () => serves("<title>Changed: "));
  assert.is.not(url(), first, "another gateway, at another port");

  const script = sandbox.path("web/page.ts");
  const good = readFileSync(script, "utf8");
  const isTold = () => /^the build failed.*page\.ts/m.test(running.stderr);
  await change(script, `${good}\nconst = 1;\n`, "the fault is told", isTold);
  // A change that was written twice may be built twice, with a pause while the gateway starts.
  await until("the gateway goes on", () => serves("<title>Changed: "), BUILD_TIME);
  const before = url();
  await change(script, good, "it is built again", () => url() !== before);

  running.kill("SIGINT");
  assert.is(await within(20_000, "the end", running.exit), 0);
});

tests.run();
