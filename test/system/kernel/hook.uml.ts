/** Runs in User-Mode Linux: see machine.ts. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { Sandbox, suite, until, within } from "../../harness.ts";
import { attached, connectWires, pattern, startProxy, startServer } from "../link.ts";
import { assertQuietKernel, deviceState, free, hookCalls, onDevice, writeHook } from "./guest.ts";

interface Context {
  sandbox: Sandbox;
  image: string;
}

const SIZE = 1 << 20;

const tests = suite<Context>("the state hook of a kernel device");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.image = context.sandbox.path("disk.img");
  writeFileSync(context.image, pattern(SIZE));
});
tests.after.each(({ sandbox }) => sandbox.end());

async function start(sandbox: Sandbox, image: string) {
  const server = await startServer(sandbox, [image]);
  const proxy = startProxy(sandbox, onDevice());
  connectWires(proxy, server);
  return { proxy, server };
}

for (const [what, mode] of [
  ["is not there", undefined],
  ["is not executable", 0o644],
] as const) {
  tests(`one that ${what} is skipped`, async ({ sandbox, image }) => {
    if (mode !== undefined) {
      writeHook(sandbox);
      chmodSync(sandbox.path("state"), mode);
    }
    const { proxy } = await start(sandbox, image);
    await attached(proxy);
    assert.is(deviceState().size, SIZE);
    proxy.kill("SIGTERM");
    assert.is(await within(20_000, "its end", proxy.exit), 0, proxy.stderr);
    assert.equal(hookCalls(sandbox), []);
    await free();
  });
}

tests("one that fails on start ends the session, and is told to stop", async ({ sandbox, image }) => {
  writeHook(sandbox, `[ "$1" = stop ] || { echo "$@" >> ${sandbox.path("calls")}; echo no >&2; exit 3; }`);
  const { proxy, server } = await start(sandbox, image);
  assert.is(await within(60_000, "the end of the proxy", proxy.exit), 1);
  assert.is(
    proxy.stderr,
    `no\nnbd-proxy: the state hook ${sandbox.path("state")} start local failed with exit status 3\n`,
  );
  await server.exit;
  assert.equal(hookCalls(sandbox), ["start local", "stop local"]);
  await free();
  assertQuietKernel();
});

tests(
  "a slow start finds the device, and a link that is lost meanwhile ends it",
  async ({ sandbox, image }) => {
    const seen = sandbox.path("seen");
    writeHook(sandbox, `[ "$1" = stop ] || { cat /sys/block/nbd0/size > ${seen}; exec sleep 1000; }`);
    const { proxy, server } = await start(sandbox, image);
    await until("the hook runs", () => existsSync(seen) && readFileSync(seen, "utf8") !== "", 60_000);
    assert.is(readFileSync(seen, "utf8"), `${SIZE / 512}\n`);
    server.kill("SIGKILL");
    await within(20_000, "the end of the proxy", proxy.exit);
    await until("the hook has said stop", () => hookCalls(sandbox).length > 0);
    assert.equal(hookCalls(sandbox), ["stop local"]); // its start was ended before it could note that
    await free();
  },
);

tests("one that is killed on start ends the session", async ({ sandbox, image }) => {
  writeHook(sandbox, `[ "$1" = stop ] || kill -9 $$`);
  const { proxy } = await start(sandbox, image);
  assert.is(await within(60_000, "the end of the proxy", proxy.exit), 1);
  assert.match(proxy.stderr, /start local failed with SIGKILL\n$/);
  assert.equal(hookCalls(sandbox), ["stop local"]);
  await free();
});

tests(
  "standard input and output are /dev/null, and standard error is the proxy's",
  async ({ sandbox, image }) => {
    writeHook(
      sandbox,
      `(readlink /proc/$$/fd/0 && readlink /proc/$$/fd/1) 2>&1 | cat > ${sandbox.path("files")}; echo "for people" >&2`,
    );
    const { proxy } = await start(sandbox, image);
    await attached(proxy);
    assert.match(proxy.stderr, /^for people\n/);
    assert.is(readFileSync(sandbox.path("files"), "utf8"), "/dev/null\n/dev/null\n");
    proxy.kill("SIGTERM");
    assert.is(await within(20_000, "its end", proxy.exit), 0, proxy.stderr);
    await free();
  },
);

tests.run();
