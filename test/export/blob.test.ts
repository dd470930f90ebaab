import { openAsBlob } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { blobExport } from "../../src/export/blob.ts";
import { Errno, ExportError, errnoName, isErrno } from "../../src/export/error.ts";
import { bytesOf } from "../../src/streams/payload.ts";
import { failure, sequence } from "../bytes.ts";
import { Sandbox } from "../harness.ts";

const tests = suite("blob export");

tests("reads are exact, wherever they lie; it is read-only", async () => {
  const target = blobExport(new Blob([sequence(100), sequence(101, 100)]));
  assert.is(target.size, 201);
  for (const [offset, length] of [
    [0, 201],
    [0, 0],
    [99, 2],
    [200, 1],
    [201, 0],
  ] as const) {
    assert.equal(
      await bytesOf(await target.read(offset, length)),
      sequence(201).slice(offset, offset + length),
    );
  }
  assert.is(target.write, undefined);
  assert.is(target.flush, undefined);
  await target.close();
});

tests("a file that became shorter, changed or was removed is EIO", async () => {
  const sandbox = new Sandbox();
  try {
    const path = sandbox.path("image");
    await writeFile(path, sequence(1000));
    const target = blobExport(await openAsBlob(path));
    assert.equal(await bytesOf(await target.read(10, 20)), sequence(20, 10));
    await writeFile(path, sequence(500));
    const changed = (await failure(target.read(600, 100))) as ExportError;
    assert.instance(changed, ExportError);
    assert.is(changed.errno, Errno.EIO);
    assert.match(changed.message, /^reading 100 bytes at 600: the file /);
    await rm(path);
    assert.is(((await failure(target.read(0, 1))) as ExportError).errno, Errno.EIO);
  } finally {
    await sandbox.end();
  }
  const short = Object.assign(new Blob([]), { slice: () => new Blob([sequence(3)]) });
  assert.match((await failure(blobExport(short).read(0, 4))).message, /the file has become shorter$/);
});

tests("a read that was given up before it began rejects with the signal's reason", async () => {
  const reason = new Error("enough");
  const read = blobExport(new Blob([sequence(4)])).read(0, 1, { signal: AbortSignal.abort(reason) });
  assert.is(await failure(read), reason);
});

tests("errnos have names, also those that NBD has not", () => {
  assert.is(errnoName(28), "ENOSPC");
  assert.is(errnoName(2), "errno 2");
  assert.equal([1, 5, 12, 22, 28, 75, 95, 108].map(isErrno), Array(8).fill(true));
  assert.equal([0, 2, 13, 0x1_0000_0005].map(isErrno), Array(4).fill(false));
});

tests.run();
