import { createHash, type Hash } from "node:crypto";
import { openSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import * as assert from "uvu/assert";
import { needing, Sandbox, suite, within } from "../harness.ts";
import { sha256, throughGateway } from "./link.ts";
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
  const hash = hashOf(copy.process.stdout!);
  assert.is(await within(10 * 60_000, "nbdcopy", copy.exit), 0, copy.stderr);
  assert.is((await hash).digest("hex"), await sha256(image));
});

async function hashOf(stream: NodeJS.ReadableStream): Promise<Hash> {
  const hash = createHash("sha256");
  for await (const chunk of stream) hash.update(chunk);
  return hash;
}

tests.run();
