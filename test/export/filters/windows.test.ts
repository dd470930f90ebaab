import * as assert from "uvu/assert";
import { blobExport } from "../../../src/export/blob.ts";
import type { ExportError } from "../../../src/export/error.ts";
import { Errno } from "../../../src/export/error.ts";
import type { Export } from "../../../src/export/export.ts";
import { windows } from "../../../src/export/filters/windows.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { failure, sequence } from "../../bytes.ts";
import { suite } from "../../harness.ts";

const tests = suite("windows");
const KIB = 1024;
const MIB = 1024 * KIB;

interface Counted {
  target: Export;
  asked: [number, number][];
  bytes: number;
}

/** What a page makes of a file, which is not there: only what is asked of it counts. */
function counted(size: number, budget = 16 * MIB, next?: Export): Counted {
  const counted: Counted = { target: undefined as never, asked: [], bytes: 0 };
  const file: Export = {
    size,
    async read(offset, length) {
      counted.asked.push([offset, length]);
      counted.bytes += length;
      return next ? next.read(offset, length) : new Uint8Array(length);
    },
    async close() {},
  };
  counted.target = windows({ budget })(file);
  return counted;
}

/** Numbers in [0, 1), the same in every run. */
function randoms(seed = 1) {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

tests(
  "a sequential reader has the file read once, in windows that grow to a quarter of the budget",
  async () => {
    const file = counted(64 * MIB);
    for (let at = 0; at < file.target.size; at += 32 * KIB) await file.target.read(at, 32 * KIB);
    assert.is(file.bytes, 64 * MIB);
    assert.ok(file.asked.length <= 16 + 8, `${file.asked.length} reads of the file`);
    assert.equal(file.asked.slice(0, 3), [
      [0, 64 * KIB],
      [64 * KIB, 64 * KIB],
      [128 * KIB, 128 * KIB],
    ]);
    assert.equal(file.asked.at(-1), [60 * MIB, 4 * MIB]);
  },
);

tests("many reads at once share the windows that are on their way", async () => {
  const file = counted(64 * MIB);
  const reads: Promise<unknown>[] = [];
  for (let at = 0; at < 4 * MIB; at += 256 * KIB)
    reads.push(Promise.resolve(file.target.read(at, 256 * KIB)));
  assert.ok(file.asked.length < 8, `${file.asked.length} reads of the file`);
  await Promise.all(reads);
  assert.is(file.bytes, 4 * MIB);
});

tests("a long part of a window is not copied, and a short one does not hold it", async () => {
  const file = counted(64 * MIB);
  for (let at = 0; at < 4 * MIB; at += MIB) await file.target.read(at, MIB);
  const reads = [0, 1, 2, 3].map((at) => file.target.read((4 + at) * MIB, MIB));
  const buffers = new Set((await Promise.all(reads)).map(({ buffer }) => buffer));
  assert.is(buffers.size, 1);
  const short = await file.target.read(5 * MIB, 4096);
  assert.is(short.buffer.byteLength, 4096);
});

tests("no byte is read twice while it is kept, and an image that fits is soon all there", async () => {
  const size = 8 * MIB;
  const file = counted(size);
  const random = randoms();
  for (let i = 0; i < 4000; i++) await file.target.read(Math.floor(random() * (size / 4096)) * 4096, 4096);
  assert.ok(file.bytes <= size, `${file.bytes} bytes`);
  assert.ok(file.asked.length <= size / (256 * KIB), `${file.asked.length} reads of the file`);
});

tests(
  "a random reader of a huge file has short windows read, and memory stays within the budget",
  async () => {
    const size = 2 ** 40;
    const file = counted(size);
    const random = randoms();
    const count = 2000;
    for (let i = 0; i < count; i++) await file.target.read(Math.floor(random() * (size / 4096)) * 4096, 4096);
    assert.ok(file.bytes <= count * 64 * KIB, `${file.bytes / count} bytes for each read`);
  },
);

tests("a sequential reader who stops has wasted no more than it has read", async () => {
  for (const read of [4 * KIB, 100 * KIB, 300 * KIB, 3 * MIB]) {
    const file = counted(64 * MIB);
    for (let at = 0; at < read; at += 4096) await file.target.read(at, 4096);
    assert.ok(file.bytes <= Math.max(64 * KIB, 2 * read), `${file.bytes} bytes for ${read}`);
  }
});

tests("several sequential readers are told apart, beside a random one", async () => {
  const file = counted(1024 * MIB, 64 * MIB);
  const random = randoms();
  const each = 8 * MIB;
  for (let at = 0; at < each; at += 64 * KIB) {
    for (const reader of [0, 1, 2, 3]) await file.target.read(reader * 100 * MIB + at, 64 * KIB);
    await file.target.read(600 * MIB + Math.floor(random() * 10_000) * 4096, 4096);
  }
  const windowsOfMany = file.asked.filter(([offset]) => offset < 600 * MIB);
  assert.ok(windowsOfMany.length <= 4 * 16, `${windowsOfMany.length} reads of the file`);
});

tests("the bytes are the file's, wherever they lie", async () => {
  const size = 300 * KIB + 77;
  const file = counted(size, 16 * MIB, memoryExport(sequence(size)));
  for (const [offset, length] of [
    [0, 1],
    [64 * KIB - 1, 2],
    [100_001, 99_999],
    [size - 1, 1],
    [size - 70_000, 70_000],
    [0, size],
    [size, 0],
  ] as const) {
    assert.equal(await file.target.read(offset, length), sequence(size).slice(offset, offset + length));
  }
});

tests("a window that cannot be read fails only those who need what cannot be read", async () => {
  const bad = 50_000;
  const memory = memoryExport(sequence(64 * KIB));
  const file = counted(64 * KIB, 16 * MIB, {
    ...memory,
    async read(offset, length) {
      if (offset <= bad && bad < offset + length) throw new Error("it is gone");
      return memory.read(offset, length);
    },
  });
  assert.equal(await file.target.read(0, 4096), sequence(4096));
  assert.is((await failure(Promise.resolve(file.target.read(49_152, 4096)))).message, "it is gone");
});

tests("a file that has become shorter is EIO where it is no more, not where it still is", async () => {
  const whole = new Blob([sequence(64 * KIB)]);
  const shorter = Object.assign(new Blob([sequence(64 * KIB)]), {
    slice: (from: number, to: number) => whole.slice(from, Math.min(to, 32 * KIB)),
  });
  const target = windows({ budget: 16 * MIB })(blobExport(shorter));
  assert.equal(await target.read(4096, 4096), sequence(4096, 4096));
  assert.is(((await failure(Promise.resolve(target.read(40 * KIB, 4096)))) as ExportError).errno, Errno.EIO);
});

tests("a read as long as a window is passed on as it is", async () => {
  const file = counted(64 * MIB);
  for (const length of [4 * MIB, 5 * MIB, 8 * MIB]) {
    const reads = file.asked.length;
    await file.target.read(6 * length, length);
    assert.equal(file.asked.slice(reads), [[6 * length, length]]);
  }
});

tests("readers beside each other are given windows that all have room", async () => {
  const file = counted(4096 * MIB, 16 * MIB);
  const readers = Array.from({ length: 20 }, (_, i) => i * 100 * MIB);
  for (let at = 0; at < 16 * MIB; at += 64 * KIB) {
    for (const start of readers) await file.target.read(start + at, 64 * KIB);
  }
  assert.is(file.bytes, readers.length * 16 * MIB, "no byte is read twice");
  assert.ok(file.asked.length <= readers.length * 80, `${file.asked.length} reads of the file`);
});

tests(
  "without memory it is as if it was not there; its memory is not at the other side's command",
  async () => {
    const memory = memoryExport(sequence(10));
    const asked: number[][] = [];
    const read = (offset: number, length: number) => {
      asked.push([offset, length]);
      return memory.read(offset, length);
    };
    const target = windows({ budget: 0 })({ ...memory, read });
    assert.equal(await target.read(3, 4), sequence(4, 3));
    assert.equal(asked, [[3, 4]]);
    assert.is(counted(10).target.cache, undefined);
  },
);

tests.run();
