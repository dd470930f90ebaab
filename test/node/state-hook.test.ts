import { existsSync, readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { StateHook } from "../../src/node/session/state-hook.ts";
import { Sandbox, suite, until, within } from "../harness.ts";

const tests = suite("state hook");
const sandbox = new Sandbox();
tests.after(() => sandbox.end());

for (const end of ["stop", "stopDetached"] as const) {
  tests(`a start that has not begun when ${end}() comes does not run`, async () => {
    const log = sandbox.path(`${end}.log`);
    const path = sandbox.path(end);
    writeFileSync(path, `#!/bin/sh\necho "$1" >> ${log}\n`, { mode: 0o755 });
    const hook = new StateHook(path, "local");
    const started = hook.start();
    await hook[end]();
    await within(5000, "the start", started);
    assert.not.ok(existsSync(log), "neither start nor stop ran");
  });
}

tests("an interrupt that comes before the start has begun ends it too", async () => {
  const path = sandbox.path("hanging");
  writeFileSync(path, '#!/bin/sh\n[ "$1" = stop ] || exec sleep 60\n', { mode: 0o755 });
  const hook = new StateHook(path, "local");
  const started = hook.start().then(
    () => "it ended by itself",
    (error: Error) => error.message,
  );
  hook.interrupt(50);
  assert.match(
    await within(5000, "the start", started),
    /start local failed with SIGTERM: it did not end within 0\.05 s$/,
  );
  await hook.stop().catch(() => {});
});

tests("a hook that ended while this process was stopped has ended in time", async () => {
  const path = sandbox.path("quick");
  writeFileSync(path, "#!/bin/sh\nsleep 0.2\n", { mode: 0o755 });
  const hook = new StateHook(path, "local");
  const started = hook.start();
  hook.interrupt(600);
  await new Promise((resolve) => setTimeout(resolve, 100));
  // Neither its end nor any time is seen meanwhile.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  await within(5000, "the start", started);
  await hook.stop();
});

tests("a start that has to end ends with all that it has started, though that takes no SIGTERM", async () => {
  const path = sandbox.path("stubborn");
  const pids = sandbox.path("pids");
  const stubborn = `trap '' TERM; echo \\$\\$ > ${pids}; while :; do sleep 600; done`;
  writeFileSync(path, `#!/bin/sh\n[ "$1" = stop ] || { sh -c "${stubborn}" & wait; }\n`, { mode: 0o755 });
  const hook = new StateHook(path, "local");
  const started = hook.start().then(
    () => "it ended by itself",
    (error: Error) => error.message,
  );
  await until("it runs", () => existsSync(pids) && readFileSync(pids, "utf8").endsWith("\n"));
  hook.interrupt(50);
  assert.match(await within(5000, "the start", started), /start local failed with SIGTERM/);
  const stat = `/proc/${readFileSync(pids, "utf8").trim()}/stat`;
  // It may still be waited for by whoever has inherited it.
  await until("it is gone", () => !existsSync(stat) || /\) Z /.test(readFileSync(stat, "utf8")));
  await hook.stop();
});

tests.run();
