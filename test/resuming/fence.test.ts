import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ExportError } from "../../src/export/error.ts";
import type { Export } from "../../src/export/export.ts";
import { memoryExport } from "../../src/export/memory.ts";
import { fenced } from "../../src/resuming/fence.ts";
import { deferred } from "../../src/streams/deferred.ts";
import { failure, isPending } from "../bytes.ts";

const tests = suite("the fence around an export for one link");

/** An export that has everything, whose calls wait to be let go on. */
function waiting() {
  const go = deferred();
  const calls: string[] = [];
  const memory = memoryExport(new Uint8Array(4096));
  const call =
    <T>(name: string, result: T) =>
    async () => {
      calls.push(name);
      await go.promise;
      return result;
    };
  const target: Export = {
    ...memory,
    read: call("read", new Uint8Array(1)),
    write: call("write", undefined),
    trim: call("trim", undefined),
    writeZeroes: call("writeZeroes", undefined),
    flush: call("flush", undefined),
    cache: call("cache", undefined),
    extents: call("extents", []),
  };
  return { go, calls, target };
}

/** Each way to use an export. */
const uses: Record<string, (target: Export) => Promise<unknown>> = {
  read: (target) => target.read(0, 1),
  write: (target) => target.write!(0, new Uint8Array(1)),
  trim: (target) => target.trim!(0, 1),
  writeZeroes: (target) => target.writeZeroes!(0, 1),
  flush: (target) => target.flush!(),
  cache: (target) => target.cache!(0, 1),
  extents: (target) => target.extents!(0, 1),
};

for (const [name, use] of Object.entries(uses)) {
  const isChange = ["write", "trim", "writeZeroes"].includes(name);
  tests(
    `${name}: refused after the end; ${isChange ? "waited for" : "not waited for"} if it began before`,
    async () => {
      const { go, calls, target } = waiting();
      const fence = fenced(target);
      const begun = use(fence.target);
      assert.equal(calls, [name]);
      const ended = fence.end();
      assert.is(await isPending(ended), isChange);
      assert.instance(await failure(use(fence.target)), ExportError);
      assert.equal(calls, [name], "nothing more came through");
      go.resolve();
      await begun;
      await ended;
    },
  );
}

tests("a change that fails is waited for likewise", async () => {
  const held = deferred();
  const fence = fenced({ ...waiting().target, write: () => held.promise });
  const writing = failure(uses.write!(fence.target));
  const ended = fence.end();
  assert.ok(await isPending(ended));
  held.reject(new Error("the disk is full"));
  assert.is((await writing).message, "the disk is full");
  await ended;
});

tests("what the export cannot do, a link cannot", () => {
  const { size, read, close } = waiting().target;
  assert.equal(Object.keys(fenced({ size, read, close }).target).sort(), ["close", "read", "size"]);
});

tests.run();
