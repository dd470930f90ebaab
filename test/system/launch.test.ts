import { copyFileSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { program, root, Sandbox, suite, until } from "../harness.ts";
import { startGateway } from "./link.ts";

interface Context {
  sandbox: Sandbox;
}

const tests = suite<Context>("how programs begin");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

const names = ["nbd-proxy", "nbd-gateway", "nbd-serve"] as const;

for (const name of names) {
  tests(`${name}: the first line names Node, with no option that another release may refuse`, () => {
    assert.match(readFileSync(program(name), "utf8"), /^#!\/usr\/bin\/env node\n/);
  });

  tests(`${name}: what npm makes of it on Windows runs Node, and no shell`, async ({ sandbox }) => {
    const modules = (await sandbox.run("npm", ["root", "--global"])).trim();
    const shim = createRequire(join(modules, "npm/package.json"))("cmd-shim") as typeof copyFileSync;
    copyFileSync(program(name), sandbox.path(`${name}.js`));
    await shim(sandbox.path(`${name}.js`), sandbox.path(name));
    const script = readFileSync(sandbox.path(`${name}.cmd`), "utf8");
    assert.match(script, /SET "_prog=node"/);
    assert.match(script, new RegExp(`"%_prog%" +"%dp0%\\\\${name}\\.js" %\\*`));
  });
}

tests(
  "nbd-gateway has 32 threads for what may wait, or as many as UV_THREADPOOL_SIZE says",
  async ({ sandbox }) => {
    const threads = async (env: Record<string, string>) => {
      const gateway = await startGateway(sandbox, {}, { env });
      let count = 0;
      // They come all at once, when the first of them is needed.
      await until("the threads", () => {
        const before = count;
        count = readdirSync(`/proc/${gateway.pid}/task`).length;
        return count === before;
      });
      gateway.kill();
      await gateway.exit;
      return count;
    };
    const fewest = await threads({ UV_THREADPOOL_SIZE: "1" });
    assert.is((await threads({})) - fewest, 31);
    assert.is((await threads({ UV_THREADPOOL_SIZE: "7" })) - fewest, 6);
  },
);

tests("the young generation stays small, and nothing is said about it", async ({ sandbox }) => {
  const script = `
    import { getHeapSpaceStatistics } from "node:v8";
    import { keepYoungGenerationSmall } from ${JSON.stringify(join(root, "bin/small-young-generation.ts"))};
    keepYoungGenerationSmall();
    const kept = [];
    for (let i = 0; i < 3e6; i++) kept[i % 50_000] = { some: [i] };
    const { space_size } = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space");
    process.stdout.write(String(space_size));`;
  const tsx = import.meta.resolve("tsx");
  const running = sandbox.start(process.execPath, ["--import", tsx, "--input-type=module", "--eval", script]);
  assert.is(await running.exit, 0);
  assert.not.match(running.stderr, /flag/);
  assert.ok(Number(running.stdout) < 5e6, `${running.stdout} bytes`);
});

tests.run();
