import { openAsBlob } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { blobExport } from "../../src/export/blob.ts";
import { Errno, ExportError, errnoName, isErrno } from "../../src/export/error.ts";
import { giveBack, isLent } from "../../src/streams/lent.ts";
import { failure, sequence } from "../bytes.ts";
import { Sandbox, suite } from "../harness.ts";

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
    assert.equal(await target.read(offset, length), sequence(201).slice(offset, offset + length));
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
    assert.equal(await target.read(10, 20), sequence(20, 10));
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

const LONG = 1 << 20;

tests("memory that was given back is read into again, other memory is not", async () => {
  const target = blobExport(new Blob([sequence(4 * LONG)]));
  const read = async (at: number) => (await target.read(at * LONG, LONG)) as Uint8Array;
  const [first, second] = [await read(0), await read(1)];
  assert.ok(isLent(first));
  giveBack(first);
  const third = await read(2);
  const fourth = await read(3);
  assert.is(first.byteLength, 0, "whoever kept it has nothing, rather than other bytes");
  assert.equal(second, sequence(LONG, LONG));
  assert.equal(third, sequence(LONG, 2 * LONG));
  assert.equal(fourth, sequence(LONG, 3 * LONG));
  assert.is.not(third.buffer, fourth.buffer);
  await target.close();
});

tests("a long read of a file that became shorter or was removed is EIO too", async () => {
  const sandbox = new Sandbox();
  try {
    const path = sandbox.path("image");
    await writeFile(path, sequence(LONG));
    const target = blobExport(await openAsBlob(path));
    assert.equal(await target.read(0, LONG), sequence(LONG));
    await writeFile(path, sequence(500));
    const changed = (await failure(target.read(0, LONG))) as ExportError;
    assert.is(changed.errno, Errno.EIO);
    assert.match(changed.message, /^reading 1048576 bytes at 0: the file /);
    await rm(path);
    assert.is(((await failure(target.read(0, LONG))) as ExportError).errno, Errno.EIO);
  } finally {
    await sandbox.end();
  }
  const short = Object.assign(new Blob([]), { slice: () => new Blob([sequence(3)]) });
  assert.match((await failure(blobExport(short).read(0, LONG))).message, /the file has become shorter$/);
});

tests("a long read that is given up ends with the signal's reason, and cancels its stream", async () => {
  let isCancelled = false;
  const endless = {
    size: LONG,
    stream: () =>
      new ReadableStream({
        type: "bytes",
        cancel() {
          isCancelled = true;
        },
      }),
  };
  const blob = Object.assign(new Blob([]), { slice: () => endless });
  const abort = new AbortController();
  const reading = failure(blobExport(blob).read(0, LONG, { signal: abort.signal }));
  const reason = new Error("enough");
  setTimeout(() => abort.abort(reason), 10);
  assert.is(await reading, reason);
  assert.ok(isCancelled);
});

tests("where Blobs do not read into given memory, a long read is as a short one", async () => {
  const whole = new Blob([sequence(2 * LONG)]);
  const plain = (blob: Blob): Blob =>
    Object.assign(blob, {
      slice: (from: number, to: number) => plain(new Blob([sequence(2 * LONG).subarray(from, to)])),
      stream: () => new ReadableStream(),
    });
  const target = blobExport(plain(whole));
  const bytes = (await target.read(LONG, LONG)) as Uint8Array;
  assert.equal(bytes, sequence(LONG, LONG));
  assert.ok(!isLent(bytes));
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

/** A Blob that notes which of its parts are read as streams; `fail` makes the streams of now fail. */
function watched(bytes: Uint8Array<ArrayBuffer>) {
  const streams: { from: number; to: number; isOver: boolean }[] = [];
  let broken: Error | undefined;
  const blob = Object.assign(new Blob([bytes]), {
    slice(from = 0, to = bytes.byteLength) {
      const stream = () => {
        const noted = { from, to, isOver: false };
        if (to > from) streams.push(noted);
        let at = from;
        return new ReadableStream({
          type: "bytes",
          async pull(controller) {
            await new Promise((resolve) => setImmediate(resolve));
            noted.isOver = broken !== undefined;
            if (broken) throw broken;
            const { view } = controller.byobRequest!;
            const length = Math.min(view!.byteLength, to - at, 300_000);
            if (length === 0) controller.close();
            new Uint8Array(view!.buffer, view!.byteOffset).set(bytes.subarray(at, at + length));
            at += length;
            controller.byobRequest!.respond(length);
          },
          cancel() {
            noted.isOver = true;
          },
        });
      };
      return Object.assign(new Blob([bytes.subarray(from, to)]), { stream });
    },
  });
  return {
    blob,
    streams,
    /** The streams that are open. */
    open: () => streams.filter(({ isOver }) => !isOver),
    fail(error: Error | undefined) {
      broken = error;
    },
  };
}

const COUNT = 16;
const content = sequence(COUNT * LONG);
const part = (index: number) => content.subarray(index * LONG, (index + 1) * LONG);
const reader = (target: ReturnType<typeof blobExport>) => async (index: number) =>
  assert.equal(await target.read(index * LONG, LONG), part(index));

tests(
  "who reads on is given one stream, also with several reads at a time; it ends with the file",
  async () => {
    const { blob, streams, open } = watched(content);
    const check = reader(blobExport(blob));
    await check(0);
    assert.equal(open(), [], "nobody knows yet whether the reader goes on");
    await check(1);
    await Promise.all([2, 3, 4, 5].map(check));
    assert.equal(
      streams.map(({ from, to }) => [from / LONG, to / LONG]),
      [
        [0, 1],
        [1, COUNT],
      ],
    );
    for (let i = 6; i < COUNT; i++) await check(i);
    assert.is(streams.length, 2);
    assert.equal(open(), []);
  },
);

tests(
  "several readers have streams of their own, of which the one that was not used longest is given up",
  async () => {
    const { blob, open } = watched(content);
    const target = blobExport(blob);
    const begin = async (at: number) => {
      await target.read(at, LONG);
      const on = await target.read(at + LONG, LONG);
      assert.equal(on, content.subarray(at + LONG, at + 2 * LONG));
    };
    for (let i = 0; i < 10; i++) await begin(i * 1000);
    assert.equal(
      open().map(({ from }) => from - LONG),
      [2, 3, 4, 5, 6, 7, 8, 9].map((i) => i * 1000),
    );
    await target.close();
    assert.equal(open(), []);
  },
);

tests(
  "a read that fails is EIO; those behind it in the stream are tried again, and so is the next one",
  async () => {
    const { blob, open, fail } = watched(content);
    const target = blobExport(blob);
    const check = reader(target);
    await check(0);
    await check(1);
    fail(new Error("the disk is gone"));
    const failed = failure(target.read(2 * LONG, LONG));
    const behind = check(3);
    assert.is(((await failed) as ExportError).errno, Errno.EIO);
    await behind;
    assert.equal(open(), []);
    fail(undefined);
    await check(4);
    await check(5);
  },
);

tests("a read that is given up fails no other", async () => {
  const { blob } = watched(content);
  const target = blobExport(blob);
  const check = reader(target);
  await check(0);
  await check(1);
  const [first, second] = [new AbortController(), new AbortController()];
  const reasons = [new Error("enough"), new Error("more than that")];
  const [inFlight, waiting] = [first, second].map(({ signal }, i) =>
    failure(target.read((2 + i) * LONG, LONG, { signal })),
  );
  const last = check(4);
  second.abort(reasons[1]);
  first.abort(reasons[0]);
  assert.is(await inFlight, reasons[0]);
  assert.is(await waiting, reasons[1]);
  await last;
});

tests.run();
