import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import * as assert from "uvu/assert";
import { sequence } from "./bytes.ts";
import { Sandbox, suite, until, within } from "./harness.ts";
import { forkRelay, type Place, type Relay, type RelayOptions, relay } from "./relay.ts";

const tests = suite("relay");
const sandbox = new Sandbox();
const ends: (() => unknown)[] = [];
tests.after(async () => {
  for (const end of ends) await end();
  await sandbox.end();
});

let number = 0;

/** Both sides of a connection through a relay. */
async function through(
  link: Partial<RelayOptions> = {},
  start: (options: RelayOptions) => Promise<Relay> = relay,
  unix = false,
): Promise<{ near: Socket; far: Socket; between: Relay }> {
  const path = () => sandbox.path(`socket-${number++}`);
  const server = createServer({ allowHalfOpen: true });
  server.listen(unix ? { path: path() } : { host: "127.0.0.1", port: 0 });
  await once(server, "listening");
  const there = server.address() as string | AddressInfo;
  const to = typeof there === "string" ? there : there.port;
  const between = await start({ listen: unix ? path() : 0, to, ...link });
  const near = open(between.place);
  const [far] = (await within(10_000, "a connection", once(server, "connection"))) as [Socket];
  ends.push(
    () => near.destroy(),
    () => far.destroy(),
    () => server.close(),
    () => between.close(),
  );
  return { near, far, between };
}

function open(place: Place): Socket {
  return connect({
    ...(typeof place === "string" ? { path: place } : { host: "127.0.0.1", port: place }),
    allowHalfOpen: true,
  });
}

async function readAll(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

for (const [name, link] of [
  ["no link at all", {}],
  ["a long one", { roundTrip: 20 }],
  ["a long and slow one", { roundTrip: 10, rate: 20_000_000 }],
] as const) {
  for (const unix of [false, true]) {
    tests(`${name}, ${unix ? "unix" : "tcp"}: bytes arrive both ways in order, and are counted`, async () => {
      const { near, far, between } = await through(link, relay, unix);
      const [there, back] = [sequence(3_000_001), sequence(1_000_003, 7)];
      near.end(there);
      far.end(back);
      const [atFar, atNear] = await within(20_000, "the bytes", Promise.all([readAll(far), readAll(near)]));
      assert.ok(atFar.equals(there));
      assert.ok(atNear.equals(back));
      assert.equal(await between.counts(), { connections: 1, there: there.length, back: back.length });
    });
  }
}

tests("each direction takes half of the round trip, and a rate its time", async () => {
  const { near, far } = await through({ roundTrip: 60, rate: 1_000_000 });
  const start = performance.now();
  near.write("a");
  await once(far, "data");
  const half = performance.now() - start;
  far.write("b");
  await once(near, "data");
  const whole = performance.now() - start;
  near.end(sequence(100_000));
  await readAll(far);
  const more = performance.now() - start - whole;
  assert.ok(half >= 29, `${half} ms`);
  assert.ok(whole >= 58, `${whole} ms`);
  assert.ok(more >= 129, `${more} ms for 100 ms of bytes after 30`);
});

tests("two connections share a rate, where they should", async () => {
  const { near, between } = await through({ rate: 1_000_000, isShared: true });
  const second = open(between.place);
  ends.push(() => second.destroy());
  const start = performance.now();
  for (const socket of [near, second]) socket.end(sequence(100_000));
  await until("all is there", async () => (await between.counts()).there === 200_000);
  const took = performance.now() - start;
  assert.ok(took >= 199, `${took} ms`);
});

tests("a half that is closed leaves the other running", async () => {
  const { near, far } = await through({ roundTrip: 10 });
  near.end("over");
  assert.is(String(await readAll(far)), "over");
  far.write("still here");
  assert.is(String((await once(near, "data"))[0]), "still here");
  far.end();
  await within(5000, "the end", once(near, "close"));
});

tests("a connection that breaks off breaks off on the other side", async () => {
  const { near, far } = await through({ roundTrip: 10 });
  far.resume().on("error", () => {});
  near.resetAndDestroy();
  await within(
    5000,
    "the end of the far side",
    until("closed", () => far.readableEnded || far.destroyed),
  );
});

tests("nobody where it leads to: whoever connects is let go", async () => {
  const between = await relay({ listen: 0, to: sandbox.path("nobody") });
  ends.push(() => between.close());
  const near = open(between.place).resume();
  near.once("end", () => near.end());
  near.on("error", () => {});
  await within(5000, "the end", once(near, "close"));
});

tests("a receiver that does not read makes the sender wait", async () => {
  const { near, far } = await through({ roundTrip: 2 });
  far.pause();
  const chunk = Buffer.alloc(1 << 20);
  // More than the relay and the buffers of two connections hold.
  for (let i = 0; i < 64; i++) near.write(chunk);
  let last = -1;
  await until("no more is taken", async () => {
    const before = last;
    last = near.bytesWritten - near.writableLength;
    await new Promise((resolve) => setTimeout(resolve, 200));
    return last === before;
  });
  assert.ok(near.writableLength > 16 << 20, `${near.writableLength} bytes wait with the sender`);
  near.end();
  assert.is((await within(20_000, "the rest", readAll(far))).length, 64 << 20);
});

tests("in a process of its own it does the same", async () => {
  const { near, far, between } = await through({ roundTrip: 10 }, forkRelay);
  near.end(sequence(100_000));
  far.end("back");
  const [there, back] = await within(20_000, "the bytes", Promise.all([readAll(far), readAll(near)]));
  assert.ok(there.equals(sequence(100_000)));
  assert.is(String(back), "back");
  assert.equal(await between.counts(), { connections: 1, there: 100_000, back: 4 });
});

tests.run();
