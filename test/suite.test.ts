/** What a failing test says: what was expected and seen, and what the programs wrote that it had started. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { root, Sandbox, suite, until, within } from "./harness.ts";

const tests = suite<{ sandbox: Sandbox }>("suites that tell more");

tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

/** Runs a test file with this text behind its imports; returns what it wrote. */
async function outputOf(sandbox: Sandbox, text: string): Promise<string> {
  const file = sandbox.path("failing.mts");
  const imports = [
    `import * as assert from ${JSON.stringify(join(root, "node_modules/uvu/assert/index.mjs"))};`,
    `import { Sandbox, suite } from ${JSON.stringify(join(root, "test/harness.ts"))};`,
  ];
  writeFileSync(file, [...imports, text].join("\n"));
  const running = sandbox.start(process.execPath, ["--import", import.meta.resolve("tsx"), file], {
    env: { NO_COLOR: "1" },
  });
  assert.is(await within(30_000, "the suite", running.exit), 1);
  return running.stdout + running.stderr;
}

tests("a failure is followed by the words of its own programs, once", async ({ sandbox }) => {
  const output = await outputOf(
    sandbox,
    `const tests = suite("one");
    let sandbox = new Sandbox();
    tests.after.each(async () => { await sandbox.end(); sandbox = new Sandbox(); });
    const say = (...words) => sandbox.run("sh", ["-c", words.join("; ")]);
    tests("passes", () => say("echo of-the-first >&2"));
    tests("fails", async () => {
      await say("printf 'nothing-%s' here", "echo and-$((1 + 1)) >&2");
      assert.is("seen", "expected");
    });
    tests("passes too", () => say("echo of-the-third >&2"));
    tests.after(() => sandbox.end());
    tests.run();`,
  );
  assert.match(output, /\+\+expected .*\n\s+--seen /);
  assert.is(output.match(/and-2/g)?.length, 1, output);
  assert.is(output.match(/nothing-here/g)?.length, 1, output);
  assert.match(output, /ended with 0\n/);
  assert.not.match(output, "of-the-");
});

tests("a failure before all tests is told", async ({ sandbox }) => {
  const output = await outputOf(
    sandbox,
    `const tests = suite("two");
    tests.before(() => { throw new Error("no disk"); });
    tests("passes", () => {});
    tests("never runs", () => { throw new Error("it did"); });
    tests("fails", () => {});
    tests.run();
    const other = suite("three");
    other("fails", () => assert.ok(false));
    other.run();`,
  );
  assert.match(output, "two: what comes before all tests has failed: Error: no disk");
});

tests("a deadline passes, on a busy machine later", async () => {
  const never = new Promise(() => {});
  const failure = (promise: Promise<unknown>) =>
    promise.then(
      () => "nothing",
      (error: Error) => error.message,
    );
  assert.is(await failure(within(50, "this", never)), "this took more than 50 ms");
  assert.is(await failure(until("that", () => false, 50)), "that: not after 50 ms");
  assert.is(await within(50, "this", Promise.resolve(1)), 1);
});

tests.run();
