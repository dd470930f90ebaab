import { suite } from "uvu";
import * as assert from "uvu/assert";
import { fileRanges, type RangeCalls } from "../../src/node/file-ranges.ts";
import type { SystemCallError } from "../../src/node/system-call-error.ts";
import { failure } from "../bytes.ts";

const tests = suite("the ranges of a file");

const MIB = 1 << 20;
const SEEK_DATA = 3;
const data = (length: number) => ({ length, hole: false, zero: false });
const hole = (length: number) => ({ length, hole: true, zero: true });

/** A file of so many MiB with data in some ranges, in MiB; what it is asked is counted. */
function counted(size: number, ranges: readonly (readonly [from: number, to: number])[]) {
  const asked: [whence: number, at: number][] = [];
  const calls: RangeCalls = {
    async lseek(_fd, offset, whence) {
      asked.push([whence, offset / MIB]);
      const at = offset / MIB;
      const inside = ranges.find(([from, to]) => from <= at && at < to);
      const next = ranges.find(([from]) => from > at);
      if (whence === SEEK_DATA) return inside ? offset : next ? next[0] * MIB : -6;
      return (whence === 4 ? (inside?.[1] ?? at) : size) * MIB;
    },
    fallocate: async (_fd, mode, offset, length) =>
      void asked.push([mode, offset / MIB], [mode, length / MIB]),
  };
  return { calls, asked };
}

tests(
  "readers in several ranges of data: each range is looked for once, and then known at once",
  async () => {
    const ranges = Array.from({ length: 40 }, (_, i) => [i * 100, i * 100 + 90] as const);
    const { calls, asked } = counted(4000, ranges);
    const file = await fileRanges({ fd: 3 }, calls);
    for (let round = 0; round < 50; round++) {
      for (const [from] of ranges) {
        const known = file.knownExtents((from + round) * MIB, MIB);
        if (round === 0) assert.equal(await known, [data(MIB)]);
        else assert.equal(known, [data(MIB)], "not a promise");
      }
    }
    assert.is(asked.length, 2 * ranges.length);
  },
);

tests("a hole is asked for each time", async () => {
  const ranges: [number, number][] = [[0, 1]];
  const { calls } = counted(4, ranges);
  const file = await fileRanges({ fd: 3 }, calls);
  assert.equal(await file.knownExtents(MIB, MIB), [hole(MIB)]);
  ranges.push([1, 2]); // somebody else has written there
  assert.equal(await file.knownExtents(MIB, MIB), [data(MIB)]);
});

tests("a file system that does not answer holds up nobody who asks for what is known", async () => {
  const { calls } = counted(4, [[0, 2]]);
  let hangs = false;
  const lseek: RangeCalls["lseek"] = (...args) =>
    hangs ? new Promise<number>(() => {}) : calls.lseek(...args);
  const file = await fileRanges({ fd: 3 }, { ...calls, lseek });
  await file.knownExtents(0, 1);
  hangs = true;
  void file.knownExtents(3 * MIB, 1);
  assert.equal(file.knownExtents(MIB, MIB), [data(MIB)]);
});

tests(
  "where looking is slow and finds data only, it is given up for a while; holes are worth it",
  async () => {
    const ranges = Array.from({ length: 50 }, (_, i) => [2 * i, 2 * i + 1] as const);
    const { calls, asked } = counted(200, ranges);
    const lseek: RangeCalls["lseek"] = async (...args) => {
      await new Promise((resolve) => setTimeout(resolve, 10));
      return calls.lseek(...args);
    };
    const file = await fileRanges({ fd: 3 }, { ...calls, lseek });
    for (let i = 0; i < 10; i++) assert.equal(await file.knownExtents((2 * i + 1) * MIB, MIB), [hole(MIB)]);
    for (let i = 0; i < 4; i++) await file.knownExtents(2 * i * MIB, MIB);
    const before = asked.length;
    for (let i = 10; i < 50; i++) assert.equal(file.knownExtents(2 * i * MIB, MIB), [data(MIB)]);
    assert.is(asked.length, before);
  },
);

tests(
  "what is punched is known no more; a long range is changed in pieces, and others come between",
  async () => {
    const { calls, asked } = counted(1024, [[0, 1024]]);
    const file = await fileRanges({ fd: 3 }, calls);
    await file.knownExtents(0, 1);
    await file.punchHole(MIB, MIB);
    assert.equal(file.knownExtents(0, MIB), [data(MIB)]);
    const again = file.knownExtents(MIB, MIB);
    assert.instance(again, Promise);
    await again;
    asked.length = 0;
    await Promise.all([file.zeroRange(0, 300 * MIB), file.allocate(512 * MIB, MIB)]);
    assert.equal(asked, [
      [17, 0],
      [17, 128],
      [1, 512],
      [1, 1],
      [17, 128],
      [17, 128],
      [17, 256],
      [17, 44],
    ]);
  },
);

tests("an error has the errno of the system", async () => {
  const error = (await failure((await fileRanges({ fd: -1 })).punchHole(0, 1))) as SystemCallError;
  assert.equal(
    [error.name, error.code, error.message],
    ["SystemCallError", "EBADF", "fallocate failed: EBADF"],
  );
});

tests.run();
