import { openSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import * as assert from "uvu/assert";
import { needing, Sandbox, suite, within } from "../harness.ts";
import { throughGateway } from "./link.ts";
import { RawClient } from "./raw-client.ts";

const GIB = 2 ** 30;
const SIZE = 5 * GIB + 7;

/** Where the sparse file is not empty: around 2 GiB and 4 GiB numbers of 32 bits would go wrong. */
const MARKS = [0, 2 * GIB - 5, 4 * GIB - 5, 4 * GIB + 12_345, 4.5 * GIB, SIZE - 9];
const mark = (offset: number) => Buffer.from(`@${String(offset).padStart(8, "0").slice(-8)}`);

const tests = suite<{ sandbox: Sandbox }>("an image of more than 4 GiB");
tests.before.each((context) => {
  context.sandbox = new Sandbox();
});
tests.after.each(({ sandbox }) => sandbox.end());

needing(tests, ["nbdcopy"])("5 GiB through nbd-serve and nbd-gateway, byte for byte", async ({ sandbox }) => {
  const image = sandbox.path("large.img");
  writeFileSync(image, "");
  truncateSync(image, SIZE);
  const file = openSync(image, "r+");
  for (const offset of MARKS) writeSync(file, mark(offset), 0, 9, offset);
  const { socket, uri } = await throughGateway(sandbox, image);

  const client = await RawClient.open(socket);
  assert.is(client.size, SIZE);
  for (const offset of MARKS) {
    const from = Math.max(0, offset - 4096);
    const length = Math.min(offset + 9 + 4096, SIZE) - from;
    client.read(1, from, length);
    const { data } = await within(10_000, `a read at ${from}`, client.reply(length));
    const expected = Buffer.alloc(length);
    mark(offset).copy(expected, offset - from);
    assert.equal(data, expected, `around ${offset}`);
  }
  client.read(2, SIZE - 1, 2);
  assert.is((await within(10_000, "a read beyond the end", client.reply(2))).error, 22);
  client.close();

  // Through a pipe, as a copy would have holes where it should have bytes.
  const copy = sandbox.start("nbdcopy", ["--no-extents", uri, "-"], { wire: true });
  const both = Promise.all([compare(copy.process.stdout!), copy.exit]);
  const [compared, status] = await within(10 * 60_000, "nbdcopy", both);
  assert.equal([compared, status], [SIZE, 0], copy.stderr);
});

/** Compares what comes with what the image has, and counts it. */
async function compare(stream: NodeJS.ReadableStream): Promise<number> {
  let at = 0;
  let zeroes = Buffer.alloc(1 << 16);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const { byteLength } = chunk;
    if (zeroes.byteLength < byteLength) zeroes = Buffer.alloc(byteLength);
    const marks = MARKS.filter((offset) => offset + 9 > at && offset < at + byteLength);
    const expected = marks.length > 0 ? Buffer.alloc(byteLength) : zeroes.subarray(0, byteLength);
    for (const offset of marks) {
      const before = Math.max(0, at - offset);
      mark(offset).copy(expected, Math.max(0, offset - at), before);
    }
    if (!chunk.equals(expected)) throw new Error(`what came between ${at} and ${at + byteLength} is wrong`);
    at += byteLength;
  }
  return at;
}

tests.run();
