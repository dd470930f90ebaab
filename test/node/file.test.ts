import { type FileHandle, open, readFile, truncate, writeFile } from "node:fs/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../src/export/error.ts";
import { fileExport, openFileExport } from "../../src/node/file.ts";
import { bytesOf } from "../../src/streams/payload.ts";
import { failure, hex, sequence } from "../bytes.ts";
import { Sandbox } from "../harness.ts";

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
  assert.equal(await bytesOf(await target.read(0, 1000)), sequence(1000));
  assert.equal(await bytesOf(await target.read(999, 1)), sequence(1, 999));
  assert.equal(await bytesOf(await target.read(5, 0)), sequence(0));
  assert.is(target.write, undefined);
  assert.is(target.flush, undefined);
  await target.close();
});

tests("reading a file that has become shorter is EIO, at the byte where it ends", async () => {
  const path = await image("short");
  const target = await openFileExport(path);
  await truncate(path, 500);
  assert.equal(await bytesOf(await target.read(400, 100)), sequence(100, 400));
  const error = await failure(target.read(400, 200));
  assert.is(error.message, "the file ended at 500: it has become shorter");
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
  assert.equal(await bytesOf(await target.read(9, 5)), expected.slice(9, 14));
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
    stat: async () => ({ isFile: () => true, size: 1000 }),
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

tests("a folder or device that is no block device is refused, and its handle closed", async () => {
  assert.match(
    (await failure(openFileExport("/dev/null"))).message,
    /^it is neither a file nor a block device$/,
  );
  assert.match((await failure(openFileExport(sandbox.folder))).message, /neither a file nor a block device/);
  assert.match((await failure(openFileExport(sandbox.path("missing")))).message, /ENOENT/);
});

tests("closing the export closes the handle", async () => {
  const handle = await open(await image("close"));
  const target = await fileExport(handle);
  await target.close();
  assert.is(handle.fd, -1);
});

tests.run();
