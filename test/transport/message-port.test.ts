import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { memoryExport } from "../../src/export/memory.ts";
import { nbdClient } from "../../src/nbd/client/nbd-client.ts";
import { nbdServer } from "../../src/nbd/server/nbd-server.ts";
import { Ended } from "../../src/streams/ended.ts";
import { join } from "../../src/streams/join.ts";
import { giveBack, lend } from "../../src/streams/lent.ts";
import { messagePort } from "../../src/transport/message-port.ts";
import { collectBytes, failure, sequence } from "../bytes.ts";
import { until, within } from "../harness.ts";

const tests = suite("message port");

function pair() {
  const { port1, port2 } = new MessageChannel();
  return [messagePort(port1), messagePort(port2)] as const;
}

/** The other end as it is, for what no transport would say. */
function raw(): [ReturnType<typeof messagePort>, MessagePort] {
  const { port1, port2 } = new MessageChannel();
  return [messagePort(port1), port2];
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 20));

tests("bytes both ways, of any length, then the end of each direction by itself", async () => {
  const [a, b] = pair();
  const sent = [0, 1, 100, 70_000, 3_000_001].map((length) => sequence(length));
  async function say(end: typeof a) {
    const writer = end.writable.getWriter();
    for (const chunk of sent) await writer.write(chunk);
    await writer.close();
  }
  const hear = (end: typeof a) => within(20_000, "the bytes", collectBytes(end.readable));
  const whole = Buffer.concat(sent);
  const [atB] = await Promise.all([hear(b), say(a)]);
  assert.ok(whole.equals(atB));
  const [atA] = await Promise.all([hear(a), say(b)]);
  assert.ok(whole.equals(atA));
  await within(2000, "the end", Promise.all([a.closed, b.closed]));
});

tests("NBD over a port, to a Worker", async () => {
  const worker = new Worker(
    `const { parentPort, workerData } = require("node:worker_threads");
     import("tsx/esm/api").then(async ({ tsImport }) => {
       const from = ${JSON.stringify(import.meta.url)};
       const { messagePort } = await tsImport("../../src/transport/message-port.ts", from);
       const { nbdServer } = await tsImport("../../src/nbd/server/nbd-server.ts", from);
       const { memoryExport } = await tsImport("../../src/export/memory.ts", from);
       const { join } = await tsImport("../../src/streams/join.ts", from);
       parentPort.once("message", (port) => join(messagePort(port), nbdServer(memoryExport(new Uint8Array(2_000_000).fill(7)))));
     });`,
    { eval: true },
  );
  const { port1, port2 } = new MessageChannel();
  worker.postMessage(port2, [port2]);
  const remote = await within(60_000, "the handshake", nbdClient(messagePort(port1)));
  const bytes = await remote.read(1, 1_999_999);
  assert.ok(bytes.every((byte) => byte === 7));
  await remote.write!(0, new Uint8Array(1_500_000));
  assert.equal(await remote.read(1_499_999, 2), Uint8Array.of(0, 7));
  const reading = failure(remote.read(0, 1));
  await worker.terminate();
  await within(5000, "the end", failure(remote.closed));
  await within(5000, "the read", reading);
});

tests("a reader that stops holds no more than 1 MiB, and the writer waits", async () => {
  const [a, b] = pair();
  const writer = a.writable.getWriter();
  let written = 0;
  const writing = (async () => {
    for (let i = 0; i < 64; i++) {
      await writer.write(new Uint8Array(1 << 17));
      written += 1 << 17;
    }
    await writer.close();
  })();
  await turn();
  await turn();
  assert.ok(written > 0 && written < 1 << 20, `${written} bytes`);
  const before = written;
  await turn();
  assert.is(written, before);
  assert.is((await within(10_000, "the rest", collectBytes(b.readable))).byteLength, 64 << 17);
  await writing;
  await b.writable.close();
  await within(2000, "the end", Promise.all([a.closed, b.closed]));
});

tests("very many short messages count for more than their bytes", async () => {
  const [a, b] = pair();
  const writer = a.writable.getWriter();
  let written = 0;
  const writing = (async () => {
    for (; written < 10_000; written++) await writer.write(Uint8Array.of(written));
    await writer.close();
  })();
  await turn();
  await turn();
  assert.ok(written < 5000, `${written} messages wait`);
  assert.is((await within(10_000, "the rest", collectBytes(b.readable))).byteLength, 10_000);
  await writing;
  a.close();
  await within(2000, "the end", Promise.all([a.closed, b.closed]));
});

tests("the chunk is copied: the memory that it is a part of is neither taken nor sent", async () => {
  const [a, port] = raw();
  const memory = sequence(1000);
  const writer = a.writable.getWriter();
  let isBack = false;
  const chunk = lend(memory.subarray(10, 20), () => {
    isBack = true;
  });
  const heard = new Promise<Uint8Array>((resolve) => port.once("message", resolve));
  await writer.write(chunk);
  assert.ok(isBack, "what was lent is given back");
  giveBack(chunk);
  assert.is(memory.byteLength, 1000);
  const message = await heard;
  assert.is(message.buffer.byteLength, 10);
  a.close();
});

tests("close() without a reason ends both sides in order, with one it fails both", async () => {
  const [a, b] = pair();
  a.close();
  await within(2000, "the end", Promise.all([a.closed, b.closed]));
  assert.instance(await failure(b.writable.getWriter().write(Uint8Array.of(1))), Ended);
  assert.is((await collectBytes(b.readable)).byteLength, 0);

  const [c, d] = pair();
  const reading = failure(d.readable.getReader().read());
  const reason = new Error("the disk\nis gone");
  c.close(reason);
  assert.is(await failure(c.closed), reason);
  const words = 'the other side closed the port: "the disk\\\\nis gone"';
  assert.match(
    (await within(2000, "the failure", failure(d.closed))).message,
    /^the other side closed the port: /,
  );
  assert.is((await reading).message, (await failure(d.closed)).message);
  assert.ok(words.length > 0 && !(await reading).message.includes("\n"));
});

tests("close() ends a write that waits for room", async () => {
  const [a, b] = pair();
  const writer = a.writable.getWriter();
  const writes = Array.from({ length: 20 }, () => writer.write(new Uint8Array(1 << 17)));
  for (const write of writes) write.catch(() => {});
  await turn();
  a.close();
  assert.instance(await within(2000, "the write", failure(writes.at(-1)!)), Ended);
  await within(2000, "the end", Promise.all([a.closed, b.closed]));

  const [c, d] = pair();
  const other = c.writable.getWriter();
  const more = Array.from({ length: 20 }, () => other.write(new Uint8Array(1 << 17)));
  for (const write of more) write.catch(() => {});
  await turn();
  const reason = new Error("enough");
  await within(2000, "the abort", other.abort(reason));
  assert.is(await failure(c.closed), reason);
  await failure(d.closed);
});

tests("a reader that wants nothing more does not keep the writer waiting", async () => {
  const [a, b] = pair();
  await b.readable.cancel(new Ended());
  const writer = a.writable.getWriter();
  for (let i = 0; i < 40; i++) await within(2000, "a write", writer.write(new Uint8Array(1 << 17)));
  await writer.close();
  await b.writable.close();
  await within(2000, "the end", b.closed);
  assert.is((await collectBytes(a.readable)).byteLength, 0);
  await within(2000, "the end", a.closed);
});

tests("the other side is gone without a word: both streams fail", async () => {
  const [a, port] = raw();
  const reading = failure(a.readable.getReader().read());
  port.close();
  assert.is(
    (await within(2000, "the failure", failure(a.closed))).message,
    "the other side of the port is gone",
  );
  assert.is((await reading).message, "the other side of the port is gone");
});

for (const [what, say] of [
  ["something else", (port: MessagePort) => port.postMessage({ hello: 1 })],
  [
    "more than it may",
    (port: MessagePort) => {
      for (let i = 0; i < 9; i++) port.postMessage(new Uint8Array(1 << 17));
    },
  ],
  [
    "empty messages without end",
    (port: MessagePort) => {
      for (let i = 0; i < 5000; i++) port.postMessage(new Uint8Array(0));
    },
  ],
  ["an answer to nothing", (port: MessagePort) => port.postMessage(5)],
  ["no number", (port: MessagePort) => port.postMessage(Number.NaN)],
] as const) {
  tests(`the other side sends ${what}: it is told so, and everything ends`, async () => {
    const [a, port] = raw();
    const told: unknown[] = [];
    port.on("message", (message) => told.push(message));
    say(port);
    const error = await within(2000, "the failure", failure(a.closed));
    assert.match(error.message, /^the other side sent /);
    await until("the other side is told", () => told.at(-1) === error.message);
    port.close();
  });
}

tests("join() of a port and a server ends with the client", async () => {
  const [a, b] = pair();
  const serving = join(a, nbdServer(memoryExport(new Uint8Array(10))));
  const remote = await nbdClient(b);
  await remote.close();
  await within(2000, "the end", Promise.all([serving, remote.closed, a.closed, b.closed]));
});

tests("a slow reader gets all that was sent before the other side ended, and closed its port", async () => {
  for (const isClosed of [false, true]) {
    const [a, b] = pair();
    const writer = a.writable.getWriter();
    await writer.write(sequence(600_000));
    if (isClosed) a.close();
    else {
      await b.writable.close();
      await writer.close();
      await within(2000, "the end of one side", a.readable.cancel(new Ended()));
    }
    await turn();
    assert.is((await within(5000, "the bytes", collectBytes(b.readable))).byteLength, 600_000);
    await within(2000, "the end", b.closed);
  }
});

tests("bytes and a second end behind an end close the port, whoever waits for them", async () => {
  for (const more of [Uint8Array.of(1), null]) {
    const [a, port] = raw();
    const reading = a.readable.getReader().read();
    port.postMessage(null);
    port.postMessage(more);
    assert.ok((await within(2000, "the end", reading)).done);
    assert.match((await within(2000, "the failure", failure(a.closed))).message, /after its end$/);
  }
});

tests.run();
