/** Our writes to a file, told from those of others; and that there is one writer. */
import { statSync, utimesSync } from "node:fs";
import { open, rename, truncate, utimes, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import { type OpenedFile, openFile } from "../../../src/node/file.ts";
import { fileIdentity } from "../../../src/node/resuming/file-identity.ts";
import { OwnWrites, type WriteRecord } from "../../../src/node/resuming/own-writes.ts";
import { soleWriter } from "../../../src/node/resuming/sole-writer.ts";
import { failure } from "../../bytes.ts";
import { Sandbox, suite, until } from "../../harness.ts";

interface Context {
  sandbox: Sandbox;
  path: string;
  opened: OpenedFile;
  records: WriteRecord[];
}

const tests = suite<Context>("who has changed a file");
tests.before.each(async (context) => {
  context.sandbox = new Sandbox();
  context.path = context.sandbox.path("disk.img");
  await writeFile(context.path, new Uint8Array(8192));
  context.opened = await openFile(context.path, { writable: true });
  context.records = [];
});
tests.after.each(async ({ sandbox, opened }) => {
  await opened.target.close();
  await sandbox.end();
});

const SECTOR = new Uint8Array(512).fill(1);

function watch({ opened, records }: Context, before?: WriteRecord) {
  return OwnWrites.of(opened.handle, { before, note: (record) => records.push(record) });
}

tests("what we write is announced before, and settled when it has been quiet", async (context) => {
  const writes = await watch(context);
  const { target } = context.opened;
  let announced = 0;
  const looking: Export = {
    ...target,
    async write(offset, data) {
      announced = context.records.length;
      await target.write!(offset, data);
    },
  };
  await writes.watch(looking).write!(0, SECTOR);
  assert.is(announced, 1);
  assert.ok(context.records[0]!.until! > Date.now());
  assert.is(await writes.othersChangedAt(), undefined);
  await until("it is quiet", () => context.records.at(-1)!.until === undefined);
  assert.is(context.records.length, 2);
  assert.is(await writes.othersChangedAt(), undefined);
  await writes.end();
});

tests("another program's change is noticed: of this process, and of the next", async (context) => {
  const writes = await watch(context);
  await writes.watch(context.opened.target).write!(0, SECTOR);
  await writes.end();
  assert.is(await writes.othersChangedAt(), undefined);
  const record = context.records.at(-1)!;
  assert.is(await (await watch(context, record)).othersChangedAt(), undefined);

  const changedAt = new Date("2031-02-03T04:05:06Z");
  await utimes(context.path, changedAt, changedAt);
  assert.is(await writes.othersChangedAt(), changedAt.getTime());
  assert.is(await (await watch(context, record)).othersChangedAt(), changedAt.getTime());
  const { changed, modified } = await fileIdentity(context.opened.handle, {
    name: "disk.img",
    size: 8192,
    writes,
  });
  assert.is(changed, "disk.img was changed by another program, at 2031-02-03T04:05:06.000Z");
  assert.is(modified, undefined);
  // With a new session it counts as it is.
  await writes.begin();
  assert.is(await writes.othersChangedAt(), undefined);
  await writes.end();
});

tests(
  "that a process opens it to write is no change by others; what others did before is",
  async (context) => {
    const writes = await watch(context);
    await writes.watch(context.opened.target).write!(0, SECTOR);
    await writes.end();
    const before = context.records.at(-1)!;
    const note = (record: WriteRecord) => context.records.push(record);
    const reopen = async () => {
      const { handle, target, modifiedBefore } = await openFile(context.path, { writable: true });
      // As where the file system makes holes.
      const opened = new Date("2031-02-03T04:05:06Z");
      await utimes(context.path, opened, opened);
      const at = await (await OwnWrites.of(handle, { before, modifiedBefore, note })).othersChangedAt();
      await target.close();
      return at;
    };
    assert.is(await reopen(), undefined);
    assert.is(
      context.records.at(-1)!.modified,
      String(BigInt(Date.parse("2031-02-03T04:05:06Z")) * 1_000_000n),
    );
    await utimes(context.path, 1_700_000_000, 1_700_000_000);
    assert.is(await reopen(), Date.parse("2031-02-03T04:05:06Z"));
  },
);

tests("killed while it wrote: what is not later than announced is ours", async (context) => {
  const writes = await watch(context);
  await writes.watch(context.opened.target).write!(0, SECTOR);
  const record = context.records[0]!;
  const next = async (milliseconds: number) => {
    const time = new Date(record.until! + milliseconds);
    utimesSync(context.path, time, time);
    return (await watch(context, record)).othersChangedAt();
  };
  assert.is(await next(-1000), undefined);
  assert.ok((await next(1000))! > record.until!);
  await writes.end();
});

tests(
  "a file that is in the place of the one that was written to is another one, until a new session",
  async (context) => {
    const { path, opened, records } = context;
    const first = await watch(context);
    await first.watch(opened.target).write!(0, SECTOR);
    await first.end();
    const before = records.at(-1)!;
    // As a backup is put back: by the same name, with the same size and time.
    const { atime, mtime } = statSync(path);
    await writeFile(`${path}.new`, new Uint8Array(8192));
    await rename(`${path}.new`, path);
    await utimes(path, atime, mtime);
    const replaced = await openFile(path, { writable: true });
    try {
      records.length = 0;
      const note = (record: WriteRecord) => records.push(record);
      const writes = await OwnWrites.of(replaced.handle, { before, note });
      const changed = async () =>
        (await fileIdentity(replaced.handle, { name: "disk.img", size: 8192, writes })).changed;
      assert.is(await changed(), "disk.img is another file than the one that was written to");
      assert.equal(records, [], "the next process finds the same");
      await writes.begin();
      assert.is(await changed(), undefined);
      assert.is.not(records.at(-1)!.file, before.file);
      await writes.end();
    } finally {
      await replaced.target.close();
    }
  },
);

tests(
  "a file that is only read has its time, and words when its size is another",
  async ({ path, opened: { handle } }) => {
    await utimes(path, 1_700_000_000, 1_700_000_000);
    const options = { name: "disk.img", size: 8192 };
    assert.equal(await fileIdentity(handle, options), {
      name: "disk.img",
      modified: 1_700_000_000_000,
      changed: undefined,
    });
    await truncate(path, 100);
    assert.is((await fileIdentity(handle, options)).changed, "disk.img has 100 bytes now, and had 8192");
  },
);

tests("one writer at a time, by whatever name the file is opened", async ({ path, opened: { handle } }) => {
  const unlock = await soleWriter(handle);
  const other = await open(path);
  try {
    assert.match((await failure(soleWriter(other))).message, /another nbd-serve serves it to be written to/);
    unlock();
    (await soleWriter(other))();
  } finally {
    await other.close();
  }
});

tests.run();
