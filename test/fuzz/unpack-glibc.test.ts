import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { needing, root, Sandbox, suite, within } from "../harness.ts";

const tests = suite<{ sandbox: Sandbox }>("where the fuzzer has its C library from");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

for (const [what, script] of [
  [
    "is not reachable",
    'case "$*" in *indextargets*) echo http://127.0.0.1:9/debian main;; *) echo no route >&2; exit 100;; esac',
  ],
  ["has no such packages", 'case "$*" in *indextargets*) echo http://127.0.0.1:9/debian main;; esac'],
  ["is not known", "exit 0"],
] as const) {
  needing(tests, ["dpkg"])(
    `a mirror that ${what} fails the step; what else is in the cache stays, and nothing is left`,
    async ({ sandbox }) => {
      const own = sandbox.path("bin");
      const cache = sandbox.path("cache");
      const temporary = sandbox.path("tmp");
      for (const path of [own, temporary, `${cache}/nbd-proxy/linux-amd64`])
        mkdirSync(path, { recursive: true });
      writeFileSync(`${own}/apt-get`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      writeFileSync(`${own}/dpkg-query`, "#!/bin/sh\necho 2.36\n", { mode: 0o755 });
      const env = { PATH: `${own}:${process.env.PATH}`, XDG_CACHE_HOME: cache, TMPDIR: temporary };
      const step = sandbox.start(join(root, ".ci/unpack-glibc"), [], { env });
      assert.is.not(await within(30_000, "the step", step.exit), 0);
      assert.is.not(step.stderr, "");
      assert.equal(readdirSync(`${cache}/nbd-proxy`), ["linux-amd64"]);
      assert.equal(readdirSync(temporary), []);
    },
  );
}

tests.run();
