import { openAsBlob } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import * as assert from "uvu/assert";
import { blobExport } from "../../src/export/blob.ts";
import { sampleOf } from "../../src/export/blob-sample.ts";
import { failure, sequence } from "../bytes.ts";
import { Sandbox, suite } from "../harness.ts";

const tests = suite("a sample of a file");

let sandbox: Sandbox;
tests.before(() => {
  sandbox = new Sandbox();
});
tests.after(() => sandbox.end());

/** A File as browsers have it, but for what is read through `slice`. */
async function openFile(path: string): Promise<File> {
  return new File([await openAsBlob(path)], path);
}

tests("a file that was removed before its size was known, as Chromium has it: with 0 bytes", async () => {
  const file = new File([], "x");
  await sampleOf(file)!.look();
  const gone = new File([], "x");
  gone.arrayBuffer = async () => {
    throw new DOMException("it was removed", "NotFoundError");
  };
  const error = await failure(sampleOf(gone)!.look());
  assert.is(error.message, "the file was removed, or is a folder (NotFoundError)");
});

/** A File whose bytes change without the runtime's knowledge, as Firefox lets them. */
function unsteady(content: Uint8Array<ArrayBuffer>, changed: { from?: number }) {
  const file = new File([content], "x");
  const compose = globalThis.Blob;
  // The places are slices that are joined in a Blob, which is read as it is then.
  class Places extends compose {
    override async arrayBuffer() {
      const bytes = new Uint8Array(await super.arrayBuffer());
      return (changed.from === undefined ? bytes : bytes.fill(0, changed.from)).buffer;
    }
  }
  globalThis.Blob = Places as typeof Blob;
  try {
    sampleOf(file);
  } finally {
    globalThis.Blob = compose;
  }
  return file;
}

tests("there is one of each File, and none of what is in memory", async () => {
  const file = new File(["x"], "x");
  assert.ok(sampleOf(file));
  assert.is(sampleOf(file), sampleOf(file));
  assert.is(sampleOf(new Blob(["x"])), undefined);
});

tests("files of any size can be looked at", async () => {
  for (const size of [0, 1, 4095, 4096, 4097, (1 << 20) + 1, 3 << 20]) {
    await sampleOf(new File([new Uint8Array(size)], "x"))!.look();
  }
});

tests("a file that is away is in doubt until it is back", async () => {
  const path = sandbox.path("image");
  await writeFile(path, sequence(1 << 16));
  const sample = sampleOf(await openFile(path))!;
  await sample.look();
  await rename(path, `${path} aside`);
  assert.match((await failure(sample.look())).message, /^the file was .+ \(\w+Error\)$/);
  assert.ok(sample.isInDoubt);
  await rename(`${path} aside`, path);
  await sample.look();
  assert.not(sample.isInDoubt);
});

tests("other bytes in one place are enough, and no read succeeds until they are what they were", async () => {
  const changed: { from?: number } = {};
  const file = unsteady(sequence(1 << 20), changed);
  const target = blobExport(file);
  assert.equal(await target.read(5, 10), sequence(10, 5));
  // The very last byte.
  changed.from = -1;
  await new Promise((resolve) => setTimeout(resolve, 150));
  for (const [offset, length] of [
    [5, 10],
    [0, 1 << 20],
    [77, 1],
  ] as const) {
    const { message } = await failure(target.read(offset, length));
    assert.is(
      message,
      `reading ${length} bytes at ${offset}: the file was changed since it was chosen: it has other bytes`,
    );
  }
  delete changed.from;
  assert.equal(await target.read(77, 1), sequence(1, 77));
  await target.close();
});

tests("reads do not look more often than ten times a second", async () => {
  const file = new File([sequence(1 << 16)], "x");
  const sample = sampleOf(file)!;
  let looks = 0;
  const look = sample.look.bind(sample);
  sample.look = () => {
    looks++;
    return look();
  };
  const target = blobExport(file);
  const start = performance.now();
  for (let i = 0; i < 1000; i++) await target.read(i, 1);
  assert.ok(looks <= 1 + (performance.now() - start) / 100, `${looks} looks`);
  await target.close();
});

tests.run();
