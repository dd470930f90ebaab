/** What nbd-serve keeps to go on after it was killed. */
import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import * as assert from "uvu/assert";
import { newWord } from "../../../src/nbd/word.ts";
import { ResumeState, resumeFile } from "../../../src/node/resuming/resume-state.ts";
import { Sandbox, suite } from "../../harness.ts";

const tests = suite<{ sandbox: Sandbox; file: string }>("what is kept to go on");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
  context.file = resumeFile("http://127.0.0.1:8000/0", context.sandbox.path("state"));
});
tests.after.each(({ sandbox }) => sandbox.end());

const written = { file: "1:2", modified: "3000000", until: 5 };
const fail = (line: string) => assert.unreachable(line);

tests("each URL has a file, whatever its token", () => {
  const at = (url: string) => resumeFile(url, "/state");
  assert.match(at("https://host/0#secret"), /^\/state\/resume-[0-9a-f]{32}\.json$/);
  assert.is(at("https://host/0#secret"), at("https://host/0"));
  assert.is.not(at("https://host/0"), at("https://host/1"));
});

tests(
  "the next process has the key and what was written; after an end in order there is nothing",
  async ({ file }) => {
    const state = await ResumeState.open(file, fail);
    assert.is(state.get(), undefined);
    state.note(written);
    assert.not(existsSync(file), "without a key there is nothing to keep");
    const key = newWord();
    await state.set(key);
    state.note(written);
    assert.is(statSync(file).mode & 0o777, 0o600);
    state.close();

    const next = await ResumeState.open(file, fail);
    assert.is(next.get(), key);
    assert.equal(next.written, written);
    await next.set(undefined);
    assert.not(existsSync(file));
    next.close();
  },
);

tests("a second process does not get the key of one that runs, and harms nothing", async ({ file }) => {
  const first = await ResumeState.open(file, fail);
  const key = newWord();
  await first.set(key);
  const second = await ResumeState.open(file, fail);
  assert.is(second.get(), undefined);
  const other = newWord();
  await second.set(other);
  assert.is(second.get(), other);
  assert.match(readFileSync(file, "utf8"), key);
  await second.set(undefined);
  assert.ok(existsSync(file));
  first.close();
  // It has taken the place over.
  await second.set(other);
  assert.match(readFileSync(file, "utf8"), other);
  second.close();
});

tests(
  "a damaged file is none; one that others can read is not believed, which one line says",
  async ({ file }) => {
    const state = await ResumeState.open(file, fail);
    await state.set(newWord());
    state.close();
    const good = readFileSync(file, "utf8");
    const written = (until: string) =>
      good.replace(/}\s*$/, `,"written":{"file":"1:1","modified":"1","until":${until}}}`);
    const damaged = ["", "rubbish", "[]", good.replace(/"key":"[^"]*"/, '"key":"short"')];
    for (const bad of [...damaged, written("1.5"), written("1e300")]) {
      writeFileSync(file, bad);
      const next = await ResumeState.open(file, fail);
      assert.is(next.get(), undefined, bad);
      next.close();
    }
    writeFileSync(file, written("15"));
    const whole = await ResumeState.open(file, fail);
    assert.is(whole.written?.until, 15);
    whole.close();
    writeFileSync(file, good);
    chmodSync(file, 0o644);
    const lines: string[] = [];
    const next = await ResumeState.open(file, (line) => lines.push(line));
    assert.is(next.get(), undefined);
    assert.is(lines.length, 1);
    assert.match(lines[0]!, /others can use it/);
    next.close();
  },
);

tests("where it cannot be written, it is kept in memory, and one line says so", async ({ sandbox, file }) => {
  writeFileSync(dirname(file), "a file where the folder should be");
  const lines: string[] = [];
  const state = await ResumeState.open(file, (line) => lines.push(line));
  const key = newWord();
  await state.set(key);
  state.note(written);
  assert.is(state.get(), key);
  assert.is(lines.length, 1);
  assert.not.match(lines[0]!, key);
  state.close();
  assert.ok(sandbox);
});

tests.run();
