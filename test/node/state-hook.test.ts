import { existsSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import { StateHook } from "../../src/node/session/state-hook.ts";
import { Sandbox, suite, within } from "../harness.ts";

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

tests.run();
