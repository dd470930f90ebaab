import { createReadStream } from "node:fs";
import { writeFile } from "node:fs/promises";
import { PassThrough, Writable } from "node:stream";
import * as assert from "uvu/assert";
import { destroy, readableOf, writableOf } from "../../src/node/node-stream.ts";
import { Ended } from "../../src/streams/ended.ts";
import { isLent, lend } from "../../src/streams/lent.ts";
import { collect, collectBytes, failure, hex, isPending, sequence, settled, toHex } from "../bytes.ts";
import { Sandbox, suite, within } from "../harness.ts";

const tests = suite("node stream");

tests("a file is read to its end", async () => {
  const sandbox = new Sandbox();
  try {
    const bytes = sequence(300_000);
    await writeFile(sandbox.path("file"), bytes);
    assert.equal(await collectBytes(readableOf(createReadStream(sandbox.path("file")))), bytes);
  } finally {
    await sandbox.end();
  }
});

tests("a readable is paused while nobody reads, at 256 KiB, and resumed", async () => {
  const stream = new PassThrough();
  const readable = readableOf(stream);
  for (let i = 0; i < 16; i++) stream.write(sequence(1 << 16));
  await settled();
  assert.ok(stream.isPaused());
  const reader = readable.getReader();
  let got = 0;
  while (got < 1 << 20) got += (await within(1000, "a read", reader.read())).value!.byteLength;
  await settled();
  assert.not.ok(stream.isPaused());
  stream.end();
  assert.ok((await reader.read()).done);
});

tests("a readable is paused by very many short chunks too: each takes memory besides its bytes", async () => {
  const stream = new PassThrough();
  const readable = readableOf(stream);
  const byte = hex("01");
  let written = 0;
  for (; written < 1000 && !stream.isPaused(); written++) {
    stream.write(byte);
    await settled();
  }
  assert.ok(written < 600, `${written} chunks of a byte each`);
  await readable.cancel(new Error("enough"));
});

tests("what was lent is given back when it has been written, not before", async () => {
  let done: (() => void) | undefined;
  const stream = new Writable({
    write(_chunk, _encoding, callback) {
      done = callback;
    },
  });
  const bytes = lend(hex("01"), () => {});
  await writableOf(stream).getWriter().write(bytes);
  await settled();
  assert.ok(isLent(bytes));
  done!();
  await settled();
  assert.not.ok(isLent(bytes));
  stream.destroy();
});

tests("a readable that fails fails with its error; one that is destroyed just ends", async () => {
  const reason = new Error("broken");
  const failing = new PassThrough();
  const failed = failure(collect(readableOf(failing)));
  failing.destroy(reason);
  assert.is(await failed, reason);
  const ending = new PassThrough();
  const ended = collect(readableOf(ending));
  ending.destroy();
  assert.equal(await within(1000, "the end", ended), []);
});

tests("a cancel with a failure destroys the stream with it; words become an error", async () => {
  for (const reason of [new Error("enough"), "enough"]) {
    const stream = new PassThrough();
    await readableOf(stream).cancel(reason);
    assert.ok(stream.destroyed);
    assert.is(stream.errored?.message, "enough");
  }
});

tests("a writable's chunks of one turn leave together", async () => {
  const batches: number[] = [];
  const stream = new Writable({
    write: (_chunk, _encoding, done) => {
      batches.push(1);
      done();
    },
    writev: (chunks, done) => {
      batches.push(chunks.length);
      done();
    },
  });
  const writer = writableOf(stream).getWriter();
  await Promise.all([1, 2, 3].map((n) => writer.write(Uint8Array.of(n))));
  await writer.close();
  assert.equal(batches, [3]);
});

tests("a write waits until the stream has room; a close until all is taken", async () => {
  const taken: string[] = [];
  let next: (() => void) | undefined;
  const stream = new Writable({
    highWaterMark: 2,
    write(chunk, _encoding, done) {
      taken.push(toHex(chunk));
      next = done;
    },
  });
  const writer = writableOf(stream).getWriter();
  const written = writer.write(hex("0102"));
  assert.ok(await isPending(written));
  next!();
  await within(1000, "the write", written);
  writer.write(hex("03")).catch(() => {});
  const closed = writer.close();
  assert.ok(await isPending(closed));
  next!();
  await within(1000, "the close", closed);
  assert.equal(taken, ["0102", "03"]);
});

tests("a write that hangs is let go by an abort, by an error and by the end of the stream", async () => {
  const reason = new Error("enough");
  for (const end of ["abort", "error", "destroy"] as const) {
    const stream = new Writable({ highWaterMark: 1, write() {} });
    const writer = writableOf(stream).getWriter();
    writer.write(hex("0102")).catch(() => {});
    const written = failure(writer.write(hex("03")));
    await settled();
    if (end === "abort") await within(1000, "the abort", writer.abort(reason));
    else if (end === "error") stream.destroy(reason);
    else stream.destroy();
    const error = await within(1000, end, written);
    if (end === "destroy") assert.instance(error, Ended);
    else assert.is(error, reason);
    assert.ok(stream.destroyed);
  }
});

tests("writing to what is gone already says so", async () => {
  const stream = new Writable({ write: (_c, _e, done) => done() });
  const writer = writableOf(stream).getWriter();
  stream.destroy();
  assert.instance(await failure(writer.write(hex("01"))), Ended);
});

tests("closing what is gone already is fine", async () => {
  const stream = new Writable({ write: (_c, _e, done) => done() });
  const writable = writableOf(stream);
  stream.destroy();
  await within(
    1000,
    "the close",
    writable.close().catch(() => {}),
  );
});

tests("destroy() with Ended is no failure", async () => {
  const stream = new PassThrough();
  stream.on("error", () => assert.unreachable());
  destroy(stream, new Ended());
  await settled();
  assert.ok(stream.destroyed);
  assert.is(stream.errored, null);
});

tests.run();
