/** The life of an attachment, in a place that the test plays. No link is anywhere near. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { whileAttached } from "../../../src/node/session/attached.ts";
import { LossError } from "../../../src/node/session/last-writes.ts";
import type { Attachment, Place } from "../../../src/node/session/place.ts";
import { SessionRecord } from "../../../src/node/session/session-state.ts";
import { ByteBudget } from "../../../src/streams/budget.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { failure } from "../../bytes.ts";
import { Sandbox, suite, until, within } from "../../harness.ts";

const tests = suite("the life of an attachment");
const sandbox = new Sandbox();
tests.after(() => sandbox.end());
let count = 0;

/** An export that is attached to a place of the test's, and what happens to both, in order. */
function attach(changes: Partial<Export> = {}, attachment: Partial<Attachment> = {}) {
  const hook = sandbox.path(`hook-${count++}`);
  const calls = `${hook}.log`;
  writeFileSync(hook, `#!/bin/sh\necho "$1" >> ${calls}\n`);
  chmodSync(hook, 0o700);
  const memory = memoryExport(new Uint8Array(4096));
  const events: string[] = [];
  let attached: Export | undefined;
  const target: Export = {
    ...memory,
    async flush() {
      events.push("flush");
    },
    ...changes,
  };
  const place: Place = {
    async attach(target) {
      attached = target;
      return {
        where: "the test",
        async detach() {
          events.push("detach");
        },
        ...attachment,
      };
    },
    release() {
      events.push("release");
    },
  };
  const source = deferred();
  const ending = new AbortController();
  const lines: string[] = [];
  const record = new SessionRecord((line) => lines.push(line));
  record.onstate = (state) => events.push(state);
  const configuration = { name: "test", stateHook: hook, timeout: 0 };
  const over = whileAttached(
    { target, name: "disk", ended: source.promise, patience: 0 },
    place,
    configuration,
    { budget: new ByteBudget(1 << 20), log: (line) => lines.push(line), signal: ending.signal },
    record,
  );
  over.catch(() => {});
  const isReady = () => until("it is attached", () => record.state === "attached");
  const hookCalls = () => (existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n") : []);
  return { over, source, ending, record, events, lines, isReady, hookCalls, local: () => attached! };
}

tests(
  "the signal asks for the end: stop while the export answers, then detach, then the last flush",
  async () => {
    const { over, ending, record, events, lines, isReady, hookCalls, local } = attach();
    await isReady();
    assert.is(record.where, "the test");
    assert.equal(record.exported, { name: "disk", size: 4096, isWritable: true });
    assert.equal(lines, ["4096 bytes, writable, on the test"]);
    await local().read(0, 100);
    assert.is(record.counts.of("read").bytes, 100);
    ending.abort();
    assert.is(await within(5000, "the end", over), undefined);
    assert.equal(hookCalls(), ["start", "stop"]);
    assert.equal(events, ["attaching", "attached", "ending", "detach", "flush"]);
    assert.is(record.where, undefined);
  },
);

tests(
  "the export is gone: detached at once, nothing is said to it any more, and its reason is the outcome",
  async () => {
    const { over, source, events, isReady, hookCalls } = attach();
    await isReady();
    const reason = new Error("nobody came back");
    source.reject(reason);
    assert.is(await within(5000, "the end", failure(over)), reason);
    assert.equal(events, ["attaching", "attached", "ending", "detach"]);
    await until("stop was run", () => hookCalls().length === 2);
    assert.equal(hookCalls(), ["start", "stop"]);
  },
);

tests("the place has ended: its reason is the outcome, after the last flush", async () => {
  const place = deferred();
  const { over, events, isReady } = attach({}, { ended: place.promise });
  await isReady();
  const reason = new Error("the device was taken away");
  place.reject(reason);
  assert.is(await within(5000, "the end", failure(over)), reason);
  assert.equal(events, ["attaching", "attached", "ending", "detach", "flush"]);
});

tests(
  "what was written and is not confirmed is lost: LossError; where nothing was written it is the failure",
  async () => {
    const reason = new Error("no space");
    for (const writes of [true, false]) {
      const { over, ending, isReady, local } = attach({ flush: () => Promise.reject(reason) });
      await isReady();
      if (writes) await local().write!(0, new Uint8Array(10));
      ending.abort();
      const error = await within(5000, "the end", failure(over));
      if (writes) assert.instance(error, LossError);
      else assert.is(error, reason);
    }
  },
);

tests("an empty export is not attached", async () => {
  const { over, events } = attach({ size: 0 });
  assert.is((await failure(over)).message, "the export is empty, 0 bytes");
  assert.equal(events, []);
});

tests.run();
