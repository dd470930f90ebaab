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
  /** The URL of a gateway whose page is so; there may be more than one build of a change. */
  const served = async (title: string): Promise<string> => {
    let url = "";
    await until(
      `a page with ${title}`,
      async () => {
        url = running.stdout.trim().split("\n").at(-1)!;
        const page = await fetch(url)
          .then((answer) => answer.text())
          .catch(() => "");
        return page.includes(title);
      },
      BUILD_TIME,
    );
    return url;
  };

  const first = await served("<title>");
  const html = sandbox.path("web/index.html");
  writeFileSync(html, readFileSync(html, "utf8").replace("<title>", "<title>Changed: "));
  const second = await served("<title>Changed: ");
  assert.is.not(second, first, "another gateway, at another port");

  const script = sandbox.path("web/page.ts");
  const good = readFileSync(script, "utf8");
  writeFileSync(script, `${good}\nconst = 1;\n`);
  await until("the fault is told", () => /^the build failed.*page\.ts/m.test(running.stderr), BUILD_TIME);
  assert.is(await served("<title>Changed: "), second);
  writeFileSync(script, good);
  await until("it is built again", () => running.stdout.trim().split("\n").at(-1) !== second, BUILD_TIME);

  running.kill("SIGINT");
  assert.is(await within(10_000, "the end", running.exit), 0);
});

tests.run();
