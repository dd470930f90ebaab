import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readOnly } from "../../../src/export/filters/read-only.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { nbdClient } from "../../../src/nbd/client/nbd-client.ts";
import { nbdServer } from "../../../src/nbd/server/nbd-server.ts";
import { join } from "../../../src/streams/join.ts";
import { transportPair } from "../../../src/streams/pair.ts";

const tests = suite("read-only");

tests("nothing is left that changes anything, and reads are passed on", async () => {
  const bytes = Uint8Array.from({ length: 4096 }, (_, i) => i & 0xff);
  const next = memoryExport(bytes);
  for (const method of ["write", "flush", "trim", "writeZeroes"] as const)
    assert.type(next[method], "function");
  const filtered = readOnly(next);
  for (const method of ["write", "flush", "trim", "writeZeroes"] as const)
    assert.is(filtered[method], undefined);
  assert.is(filtered.size, 4096);
  assert.equal(await filtered.read(10, 5), bytes.slice(10, 15));
});

tests("clients are told", async () => {
  const [near, far] = transportPair();
  const serving = join(far, nbdServer(readOnly(memoryExport(new Uint8Array(4096)))));
  const remote = await nbdClient(near);
  assert.is(remote.write, undefined);
  assert.is(remote.trim, undefined);
  assert.is(remote.writeZeroes, undefined);
  await remote.close();
  await serving;
});

tests("it is closed as the next one is", async () => {
  let closed = 0;
  const next = { ...memoryExport(new Uint8Array(1)), close: async () => void closed++ };
  await readOnly(next).close();
  assert.is(closed, 1);
});

tests.run();
