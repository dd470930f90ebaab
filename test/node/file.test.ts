import { once } from "node:events";
import { type FileHandle, open, readFile, truncate, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../src/export/error.ts";
import { fileExport, openFileExport } from "../../src/node/file.ts";
import { giveBack } from "../../src/streams/lent.ts";
import { failure, hex, sequence } from "../bytes.ts";
import { Sandbox, suite, within } from "../harness.ts";

const tests = suite("file export");
const sandbox = new Sandbox();
tests.after(() => sandbox.end());

async function image(name: string, length = 1000): Promise<string> {
  await writeFile(sandbox.path(name), sequence(length));
  return sandbox.path(name);
}

async function errnoOf(promise: Promise<unknown>): Promise<number> {
  const error = await failure(promise);
  assert.instance(error, ExportError);
  return (error as ExportError).errno;
}

tests("reads are exact; read-only unless asked", async () => {
  const target = await openFileExport(await image("read"));
  assert.is(target.size, 1000);
  assert.equal(await target.read(0, 1000), sequence(1000));
  assert.equal(await target.read(999, 1), sequence(1, 999));
  assert.equal(await target.read(5, 0), sequence(0));
  assert.is(target.write, undefined);
  assert.is(target.flush, undefined);
  await target.close();
});

tests("long reads go into memory that was given back, and no other", async () => {
  const length = 1 << 16;
  const target = await openFileExport(await image("again", 4 * length));
  const read = async (at: number) => (await target.read(at * length, length)) as Uint8Array;
  const [first, second] = [await read(0), await read(1)];
  giveBack(first);
  const [third, fourth] = [await read(2), await read(3)];
  assert.is(third.buffer, first.buffer);
  assert.equal(second, sequence(length, length));
  assert.equal(third, sequence(length, 2 * length));
  assert.equal(fourth, sequence(length, 3 * length));
  await target.close();
});

tests("reading a file that has become shorter is EIO, at the byte where it ends", async () => {
  const path = await image("short");
  const target = await openFileExport(path);
  await truncate(path, 500);
  assert.equal(await target.read(400, 100), sequence(100, 400));
  const error = await failure(target.read(400, 200));
  assert.is(error.message, "the file has become shorter: there is nothing at 500 any more");
  assert.is((error as ExportError).errno, Errno.EIO);
  await target.close();
});

tests("writes go where they belong", async () => {
  const path = await image("write");
  const target = await openFileExport(path, { writable: true });
  await target.write!(10, hex("aabbcc"));
  await target.write!(999, hex("dd"), { fua: true });
  await target.flush!();
  const expected = sequence(1000);
  expected.set(hex("aabbcc"), 10);
  expected.set(hex("dd"), 999);
  assert.equal(new Uint8Array(await readFile(path)), expected);
  assert.equal(await target.read(9, 5), expected.slice(9, 14));
  await target.close();
});

/** A handle whose calls the test answers, and which notes them. */
function fake(answers: Partial<Record<"read" | "write" | "datasync", (...args: number[]) => unknown>>) {
  const calls: unknown[] = [];
  const call =
    (name: "read" | "write" | "datasync") =>
    async (_data: unknown, ...args: number[]) => {
      calls.push([name, ...args]);
      return answers[name]?.(...args);
    };
  const handle = {
    stat: async () => ({ isFile: () => true, size: 1000n }),
    read: call("read"),
    write: call("write"),
    datasync: call("datasync"),
    close: async () => void calls.push(["close"]),
  };
  return { handle: handle as unknown as FileHandle, calls };
}

tests("reads and writes that the system cuts short go on where they stopped", async () => {
  const { handle, calls } = fake({
    read: (_at, length) => ({ bytesRead: Math.min(length!, 3) }),
    write: (_at, length) => ({ bytesWritten: Math.min(length!, 4) }),
  });
  const target = await fileExport(handle, { writable: true });
  await target.read(100, 7);
  await target.write!(200, sequence(6), { fua: true });
  assert.equal(calls, [
    ["read", 0, 7, 100],
    ["read", 3, 4, 103],
    ["read", 6, 1, 106],
    ["write", 0, 6, 200],
    ["write", 4, 2, 204],
    ["datasync"],
  ]);
  await target.close();
  assert.equal(calls.at(-1), ["close"]);
});

tests("what the system has in memory is read without a thread", async () => {
  const handle = await open(await image("cached", 10_000));
  let reads = 0;
  const counted = new Proxy(handle, {
    get(target, name) {
      if (name === "read") reads++;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const target = await fileExport(counted);
  assert.equal(await target.read(1000, 5000), sequence(5000, 1000));
  assert.is(reads, 0);
  await target.close();
  // The number of its descriptor may be another file's by now.
  assert.is(await errnoOf(target.read(0, 512)), Errno.EIO);
});

tests("a write without FUA does not sync", async () => {
  const { handle, calls } = fake({ write: (_at, length) => ({ bytesWritten: length }) });
  await (await fileExport(handle, { writable: true })).write!(0, sequence(6));
  assert.equal(calls, [["write", 0, 6, 0]]);
});

for (const [code, errno] of [
  ["ENOSPC", Errno.ENOSPC],
  ["EDQUOT", Errno.ENOSPC],
  ["EFBIG", Errno.ENOSPC],
  ["EPERM", Errno.EPERM],
  ["EACCES", Errno.EPERM],
  ["EROFS", Errno.EPERM],
  ["ENOMEM", Errno.ENOMEM],
  ["EIO", Errno.EIO],
  ["EBADF", Errno.EIO],
  [undefined, Errno.EIO],
] as const) {
  tests(`${code} becomes ${errno}`, async () => {
    const cause = Object.assign(new Error("the system says no"), { code });
    const no = () => {
      throw cause;
    };
    const { handle } = fake({ read: no, write: no, datasync: no });
    const target = await fileExport(handle, { writable: true });
    for (const promise of [target.read(0, 1), target.write!(0, sequence(1)), target.flush!()]) {
      const error = await failure(promise);
      assert.is((error as ExportError).errno, errno);
      assert.is(error.message, "the system says no");
      assert.is(error.cause, cause);
    }
  });
}

tests("a failing sync fails a write with FUA", async () => {
  const { handle } = fake({
    write: (_at, length) => ({ bytesWritten: length }),
    datasync() {
      throw Object.assign(new Error("no"), { code: "ENOSPC" });
    },
  });
  const target = await fileExport(handle, { writable: true });
  assert.is(await errnoOf(target.write!(0, sequence(1), { fua: true })), Errno.ENOSPC);
});

tests("a signal gives a read or write up", async () => {
  const { handle, calls } = fake({});
  const target = await fileExport(handle, { writable: true });
  const reason = new Error("enough");
  const signal = AbortSignal.abort(reason);
  assert.is(await failure(target.read(0, 1, { signal })), reason);
  assert.is(await failure(target.write!(0, sequence(1), { signal })), reason);
  assert.equal(calls, []);
});

tests("what is neither a file nor a block device is refused in words, and not waited for", async () => {
  const fifo = sandbox.path("fifo");
  await sandbox.run("mkfifo", [fifo]);
  const socket = sandbox.path("socket");
  const server = createServer().listen(socket);
  await once(server, "listening");
  for (const [path, kind] of [
    ["/dev/null", "a character device"],
    [sandbox.folder, "a folder"],
    [fifo, "a FIFO"],
    [socket, "a socket"],
  ] as const) {
    for (const writable of [false, true]) {
      const refusal = within(5000, path, failure(openFileExport(path, { writable })));
      assert.is((await refusal).message, `it is ${kind}, and neither a file nor a block device`);
    }
  }
  server.close();
  assert.match((await failure(openFileExport(sandbox.path("missing")))).message, /ENOENT/);
});

tests("closing the export closes the handle", async () => {
  const handle = await open(await image("close"));
  const target = await fileExport(handle);
  await target.close();
  assert.is(handle.fd, -1);
});

/** 64 KiB blocks of a file: "h" a hole, "d" data. */
async function sparseFile(name: string, blocks: string): Promise<string> {
  const path = sandbox.path(name);
  const handle = await open(path, "w");
  await handle.truncate(blocks.length * BLOCK);
  for (const [i, block] of [...blocks].entries()) {
    if (block === "d") await handle.write(sequence(BLOCK, i), 0, BLOCK, i * BLOCK);
  }
  await handle.close();
  return path;
}
const BLOCK = 1 << 16;
const data = (length: number) => ({ length, hole: false, zero: false });
const hole = (length: number) => ({ length, hole: true, zero: true });
const isZero = (payload: Uint8Array) => payload.every((byte) => byte === 0);

tests("the extents of a sparse file are where its data and its holes are", async () => {
  const target = await openFileExport(await sparseFile("sparse", "hhddhdhh"));
  const all = [hole(2 * BLOCK), data(2 * BLOCK), hole(BLOCK), data(BLOCK), hole(2 * BLOCK)];
  assert.equal(await target.extents!(0, 8 * BLOCK), all);
  assert.equal(await target.extents!(0, 1), [hole(1)]);
  assert.equal(await target.extents!(2 * BLOCK + 5, BLOCK), [data(BLOCK)]);
  assert.equal(await target.extents!(4 * BLOCK - 1, BLOCK + 3), [data(1), hole(BLOCK), data(2)]);
  assert.equal(await target.extents!(7 * BLOCK, BLOCK), [hole(BLOCK)]);
  await target.close();
  const full = await openFileExport(await image("full"));
  assert.equal(await full.extents!(10, 990), [data(990)]);
  await full.close();
});

tests(
  "what was a hole and is written is data; what was data may be called so until it is looked at again",
  async () => {
    const path = await sparseFile("written", "dhd");
    const target = await openFileExport(path, { writable: true });
    assert.equal(await target.knownExtents!(0, 3 * BLOCK), [data(BLOCK), hole(BLOCK), data(BLOCK)]);
    await target.write!(BLOCK, sequence(BLOCK));
    assert.equal(await target.knownExtents!(0, 3 * BLOCK), [data(3 * BLOCK)]);
    const other = await openFileExport(path, { writable: true });
    await other.trim!(BLOCK, BLOCK);
    await other.close();
    assert.equal(await target.knownExtents!(BLOCK, BLOCK), [data(BLOCK)]);
    assert.equal(await target.extents!(BLOCK, BLOCK), [hole(BLOCK)]);
    assert.equal(await target.knownExtents!(BLOCK, BLOCK), [hole(BLOCK)]);
    await target.close();
  },
);

tests("a file that has become shorter has no hole where it has ended", async () => {
  const path = await sparseFile("shortened", "dhhh");
  const target = await openFileExport(path);
  await truncate(path, 2 * BLOCK);
  assert.equal(await target.extents!(0, 4 * BLOCK), [data(BLOCK), hole(BLOCK), data(2 * BLOCK)]);
  await truncate(path, BLOCK);
  assert.equal(await target.extents!(2 * BLOCK, BLOCK), [data(BLOCK)]);
  await target.close();
});

tests("1,024 extents or so at a time, and the rest when it is asked for", async () => {
  const path = sandbox.path("many");
  const handle = await open(path, "w");
  const step = 8192;
  await handle.truncate(1000 * step);
  for (let i = 0; i < 1000; i++) await handle.write(sequence(4096), 0, 4096, i * step);
  await handle.close();
  const target = await openFileExport(path);
  let at = 0;
  let asked = 0;
  while (at < target.size) {
    const extents = await target.extents!(at, target.size - at);
    for (const { length, hole } of extents) {
      assert.is(hole, at % step !== 0);
      at += length;
    }
    assert.ok(extents.length <= 1025);
    asked++;
  }
  assert.ok(asked >= 2);
  await target.close();
});

tests("TRIM makes a hole, and leaves the file as long as it was", async () => {
  const path = await sparseFile("trim", "ddd");
  const target = await openFileExport(path, { writable: true });
  await target.trim!(BLOCK, BLOCK, { fua: true });
  assert.equal(await target.extents!(0, 3 * BLOCK), [data(BLOCK), hole(BLOCK), data(BLOCK)]);
  assert.ok(isZero(await target.read(BLOCK, BLOCK)));
  await target.trim!(2 * BLOCK, BLOCK);
  await target.close();
  assert.is((await readFile(path)).byteLength, 3 * BLOCK);
});

tests(
  "WRITE_ZEROES makes a hole, or with noHole zeroes that stay allocated; its ends need no alignment",
  async () => {
    const path = await sparseFile("zeroes", "dddd");
    const target = await openFileExport(path, { writable: true });
    await target.writeZeroes!(10, 2 * BLOCK, { fua: true });
    await target.writeZeroes!(3 * BLOCK, BLOCK, { noHole: true });
    const expected = new Uint8Array(4 * BLOCK);
    for (let i = 0; i < 4; i++) expected.set(sequence(BLOCK, i), i * BLOCK);
    expected.fill(0, 10, 10 + 2 * BLOCK);
    expected.fill(0, 3 * BLOCK);
    assert.equal(await target.read(0, 4 * BLOCK), expected);
    const handle = await open(path);
    const { blocks } = await handle.stat();
    await handle.close();
    assert.ok(blocks * 512 < 4 * BLOCK && blocks * 512 >= 2 * BLOCK, `${blocks} sectors are allocated`);
    await target.close();
  },
);

tests("many at once are done one after the other, each with its own result", async () => {
  const target = await openFileExport(await sparseFile("turns", "dddd"), { writable: true });
  await Promise.all(Array.from({ length: 300 }, (_, i) => target.writeZeroes!(i * 100, 100)));
  assert.ok(isZero(await target.read(0, 30_000)));
  await target.close();
});

tests(
  "without what fallocate(2) is there for, neither TRIM nor WRITE_ZEROES is offered; what fails has its errno",
  async () => {
    const path = await image("closed");
    const handle = await open(path, "r");
    // A descriptor that can only be read: fallocate says EBADF.
    const target = await fileExport(handle, { writable: true });
    assert.is(await errnoOf(target.trim!(0, 1)), Errno.EIO);
    assert.is(await errnoOf(target.writeZeroes!(0, 1)), Errno.EIO);
    await target.close();
    const device = await open("/dev/null", "r+");
    assert.match((await failure(fileExport(device))).message, /neither a file nor a block device/);
    await device.close();
  },
);

tests(
  "a flush that failed once fails for good: what the system could not write it has forgotten",
  async () => {
    const handle = await open(await image("lost"), "r+");
    const target = await fileExport(handle, { writable: true });
    const datasync = handle.datasync.bind(handle);
    handle.datasync = () => Promise.reject(Object.assign(new Error("no space"), { code: "ENOSPC" }));
    assert.is(await errnoOf(target.flush!()), Errno.ENOSPC);
    handle.datasync = datasync;
    const error = await failure(target.flush!());
    assert.is(error.message, "what was written earlier could not be brought to the disk");
    assert.is(await errnoOf(target.write!(0, hex("aa"), { fua: true })), Errno.EIO);
    await target.close();
  },
);

tests.run();
