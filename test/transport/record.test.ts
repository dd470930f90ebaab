import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { deferred } from "../../src/streams/deferred.ts";
import { Ended } from "../../src/streams/ended.ts";
import { join } from "../../src/streams/join.ts";
import { isLent, lend } from "../../src/streams/lent.ts";
import { transportPair } from "../../src/streams/pair.ts";
import type { Conversation } from "../../src/transport/conversation.ts";
import { record } from "../../src/transport/record.ts";
import { replayLayer } from "../../src/transport/replay.ts";
import { within } from "../harness.ts";

const tests = suite("record");

const bytes = (...values: number[]) => Uint8Array.from(values);
const rejection = (promise: Promise<unknown>) =>
  within(1000, "the failure", promise).then(
    () => assert.unreachable("it did not fail"),
    (error: unknown) => error,
  );

tests("all bytes of both directions are reported, from the side they came from, in order", async () => {
  const [near, far] = transportPair();
  const conversation: Conversation = [];
  const recorded = record(near, "client", (message) => void conversation.push(message));
  const writer = recorded.writable.getWriter();
  const reader = recorded.readable.getReader();
  const farReader = far.readable.getReader();
  const farWriter = far.writable.getWriter();

  writer.write(bytes(1, 2));
  assert.equal((await farReader.read()).value, bytes(1, 2));
  farWriter.write(bytes(3));
  assert.equal((await reader.read()).value, bytes(3));
  writer.write(bytes(4, 5));
  assert.equal((await farReader.read()).value, bytes(4, 5));
  assert.equal(conversation, [
    { from: "client", bytes: bytes(1, 2) },
    { from: "server", bytes: bytes(3) },
    { from: "client", bytes: bytes(4, 5) },
  ]);

  writer.close();
  assert.ok((await farReader.read()).done);
  farWriter.close();
  assert.ok((await reader.read()).done);
  await within(1000, "the end", recorded.closed);
});

tests("what was lent is handed on as bytes that nobody gives back", async () => {
  const [near, far] = transportPair();
  const recorded = record(near, "client", () => {});
  const lentBytes = lend(bytes(1, 2), () => {});
  recorded.writable.getWriter().write(lentBytes);
  const { value } = await far.readable.getReader().read();
  assert.equal(value, bytes(1, 2));
  assert.not.ok(isLent(value!));
  assert.ok(isLent(lentBytes));
});

tests("nothing is handed on before the sink has taken it", async () => {
  const [near, far] = transportPair();
  const taken = deferred();
  let reports = 0;
  const recorded = record(near, "server", () => {
    reports++;
    return taken.promise;
  });
  recorded.writable.getWriter().write(bytes(1));
  let arrived = false;
  const arrival = far.readable
    .getReader()
    .read()
    .then(() => {
      arrived = true;
    });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.is(reports, 1);
  assert.not(arrived);
  taken.resolve();
  await within(1000, "the chunk", arrival);
});

tests("a reader that stops reading stops the other side", async () => {
  const [near, far] = transportPair();
  let reports = 0;
  const recorded = record(near, "client", () => void reports++);
  const writer = far.writable.getWriter();
  let written = 0;
  const writing = (async () => {
    for (; written < 100; written++) await writer.write(bytes(written));
  })();
  writing.catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.is(reports, 0);
  assert.ok(written < 5, `${written} chunks were taken`);
  recorded.close();
});

tests("a sink that fails ends both directions with its error", async () => {
  const [near, far] = transportPair();
  const full = new Error("no space left on device");
  const recorded = record(near, "client", () => {
    throw full;
  });
  assert.is(await rejection(recorded.writable.getWriter().write(bytes(1))), full);
  assert.is(await rejection(recorded.readable.getReader().read()), full);
  assert.is(await rejection(far.readable.getReader().read()), full);
  assert.is(await rejection(recorded.closed), full);
});

tests("a transport that breaks fails both streams at once", async () => {
  const [near, far] = transportPair();
  const recorded = record(near, "client", () => {});
  const reader = recorded.readable.getReader();
  const writer = recorded.writable.getWriter();
  const broken = new Error("the cable was pulled");
  far.close(broken);
  assert.is(await rejection(reader.closed), broken);
  assert.is(await rejection(writer.closed), broken);
});

tests("cancel, abort and close reach the transport", async () => {
  const [near, far] = transportPair();
  const recorded = record(near, "client", () => {});
  const reason = new Error("no more");
  await recorded.readable.cancel(reason);
  assert.is(await rejection(far.writable.getWriter().closed), reason);
  await recorded.writable.abort(reason);
  assert.is(await rejection(far.readable.getReader().read()), reason);

  const [other, its] = transportPair();
  record(other, "client", () => {}).close(new Ended());
  assert.ok((await its.readable.getReader().read()).done);
});

tests("an abort interrupts a write that hangs", async () => {
  const [near] = transportPair();
  const recorded = record(near, "client", () => {});
  const writer = recorded.writable.getWriter();
  const writes = [1, 2, 3, 4].map((byte) => writer.write(bytes(byte)).catch((error: unknown) => error));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await within(1000, "the abort", writer.abort(new Error("enough")));
  await within(1000, "the writes", Promise.all(writes));
});

tests("what was recorded of a session can be replayed to the same server", async () => {
  const image = Uint8Array.from({ length: 3000 }, (_, i) => i & 0xff);
  const conversation: Conversation = [];
  const [near, far] = transportPair();
  const serving = join(far, nbdServer(memoryExport(image.slice())));
  const remote = await nbdClient(
    record(near, "client", ({ from, bytes }) => void conversation.push({ from, bytes: bytes.slice() })),
  );
  assert.equal(await remote.read(100, 1000), image.slice(100, 1100));
  await remote.write!(7, bytes(1, 2, 3));
  assert.equal(await remote.read(0, 10), bytes(0, 1, 2, 3, 4, 5, 6, 1, 2, 3));
  await remote.close();
  await serving;
  for (const chunkSize of [1, 5, 1000]) {
    await replayLayer(nbdServer(memoryExport(image.slice())), conversation, { as: "client", chunkSize });
  }
});

tests.run();
