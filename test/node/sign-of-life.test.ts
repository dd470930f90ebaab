import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { signOfLife } from "../../src/node/session/sign-of-life.ts";
import { deferred } from "../../src/streams/deferred.ts";
import { join } from "../../src/streams/join.ts";
import { transportPair } from "../../src/streams/pair.ts";
import { Sandbox, suite, until } from "../harness.ts";
import { startProxy, wireOf } from "../system/link.ts";

const tests = suite("sign of life");
const sandbox = new Sandbox();
tests.after(() => sandbox.end());

/** An export of `size` bytes at the other end of a link, and the reads that come to it. */
async function remoteOf(size: number, answer?: Promise<void>) {
  const memory = memoryExport(new Uint8Array(size));
  const reads: [number, number][] = [];
  const [near, far] = transportPair();
  const served = {
    ...memory,
    async read(offset: number, length: number) {
      reads.push([offset, length]);
      await answer;
      return memory.read(offset, length);
    },
  };
  join(far, nbdServer(served)).catch(() => {});
  return { remote: await nbdClient(near), reads };
}

tests("while nothing is asked the first sector is read, or what there is of it", async () => {
  for (const [size, length] of [
    [4096, 512],
    [100, 100],
  ] as const) {
    const { remote, reads } = await remoteOf(size);
    const end = signOfLife(remote, 0.02);
    await until("some signs", () => reads.length >= 3);
    assert.ok(reads.every((read) => read[0] === 0 && read[1] === length));
    end();
    await remote.close();
  }
});

tests("one sign at a time, also where it is not answered", async () => {
  const answer = deferred();
  const { remote, reads } = await remoteOf(4096, answer.promise);
  const end = signOfLife(remote, 0.01);
  await until("a sign", () => reads.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.is(reads.length, 1);
  answer.resolve();
  await until("the next one", () => reads.length > 1);
  end();
  await remote.close();
});

tests("none where requests are sent", async () => {
  let requests = 0n;
  const reads: number[] = [];
  const remote = {
    size: 4096,
    // Each look finds that something was sent.
    get requests() {
      return requests++;
    },
    read: async (offset: number) => {
      reads.push(offset);
      return new Uint8Array(512);
    },
  };
  const end = signOfLife(remote, 0.01);
  await until("many looks", () => requests > 20n);
  end();
  assert.equal(reads, []);
});

tests("nbd-proxy, whose WebSocket a relay would cut, reads a sector within 20 s", async () => {
  const proxy = startProxy(sandbox);
  const memory = memoryExport(new Uint8Array(1 << 20), { readOnly: true });
  const reads: [number, number][] = [];
  const served = {
    ...memory,
    async read(offset: number, length: number) {
      reads.push([offset, length]);
      return memory.read(offset, length);
    },
  };
  join(wireOf(proxy), nbdServer(served)).catch(() => {});
  await until("it is attached", () => / bytes, read-only, on /.test(proxy.stderr));
  await until("a sign of life", () => reads.length > 0, 25_000);
  assert.equal(reads, [[0, 512]]);
});

tests.run();
