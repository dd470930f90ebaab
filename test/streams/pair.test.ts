import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Ended } from "../../src/streams/ended.ts";
import { duplexPair, transportPair } from "../../src/streams/pair.ts";
import { collect, failure, hex, isPending, settled, source, toHex } from "../bytes.ts";
import { within } from "../harness.ts";

const tests = suite("pair");

tests("what is written on one end is read on the other, in both directions", async () => {
  const [a, b] = transportPair();
  const there = source([hex("01 02"), hex("03")]).pipeTo(a.writable);
  const back = source([hex("0a"), hex("0b 0c")]).pipeTo(b.writable);
  const [atB, atA] = await Promise.all([collect(b.readable), collect(a.readable)]);
  assert.equal(atB.map(toHex), ["0102", "03"]);
  assert.equal(atA.map(toHex), ["0a", "0b0c"]);
  await Promise.all([there, back]);
  await within(
    1000,
    "closed",
    Promise.all([a.closed, b.closed]).then(() => {}),
  );
});

tests("chunks of a duplex pair are handed over as they are", async () => {
  const [a, b] = duplexPair<{ n: number }, string>();
  const chunk = { n: 1 };
  a.writable
    .getWriter()
    .write(chunk)
    .catch(() => {});
  assert.is((await b.readable.getReader().read()).value, chunk);
  b.writable
    .getWriter()
    .write("back")
    .catch(() => {});
  assert.is((await a.readable.getReader().read()).value, "back");
});

tests("a write settles when its chunk was taken on the other side", async () => {
  const [a, b] = transportPair();
  const writer = a.writable.getWriter();
  const first = writer.write(hex("01"));
  const second = writer.write(hex("02"));
  assert.ok(await isPending(first));
  const reader = b.readable.getReader();
  assert.is(toHex((await reader.read()).value!), "01");
  await within(1000, "the first write", first);
  assert.ok(await isPending(second));
  assert.is(toHex((await reader.read()).value!), "02");
  await within(1000, "the second write", second);
});

tests("one direction that ends leaves the other running; closed waits for both", async () => {
  const [a, b] = transportPair();
  await a.writable.close();
  assert.equal(await collect(b.readable), []);
  assert.ok(await isPending(a.closed));
  const writer = b.writable.getWriter();
  writer.write(hex("0a")).catch(() => {});
  const reader = a.readable.getReader();
  assert.is(toHex((await reader.read()).value!), "0a");
  await writer.close();
  assert.ok((await reader.read()).done);
  await within(1000, "closed", a.closed);
  await within(1000, "closed", b.closed);
});

tests("close() without a reason ends all four streams: readers cleanly, writers with Ended", async () => {
  const [a, b] = transportPair();
  const [writerA, writerB] = [a.writable.getWriter(), b.writable.getWriter()];
  const hung = failure(writerA.write(hex("01")));
  await settled();
  a.close();
  a.close();
  assert.instance(await failure(writerA.write(hex("02"))), Ended);
  assert.instance(await failure(writerB.write(hex("02"))), Ended);
  assert.equal((await collect(b.readable)).map(toHex), ["01"]);
  assert.equal(await collect(a.readable), []);
  await within(1000, "closed", a.closed);
  await within(1000, "closed", b.closed);
  hung.catch(() => {});
});

tests("close(reason) fails all four streams and closed with it, on both ends", async () => {
  for (const side of [0, 1]) {
    const ends = transportPair();
    const reason = new Error("the cable was cut");
    ends[side]!.close(reason);
    ends[side]!.close(new Error("too late to matter"));
    for (const end of ends) {
      assert.is(await failure(collect(end.readable)), reason);
      assert.is(await failure(end.writable.getWriter().write(hex("01"))), reason);
      assert.is(await failure(end.closed), reason);
    }
  }
});

tests("an abort of one direction is seen as a failure by its reader, and by closed", async () => {
  const [a, b] = transportPair();
  const reason = new Error("no more");
  await a.writable.abort(reason);
  assert.is(await failure(collect(b.readable)), reason);
  assert.is(await failure(b.closed), reason);
});

tests("a cancel is seen by the writer", async () => {
  const [a, b] = transportPair();
  const reason = new Error("no more");
  await b.readable.cancel(reason);
  assert.is(await failure(a.writable.getWriter().write(hex("01"))), reason);
});

tests("closed may be ignored", async () => {
  const [a] = transportPair();
  const unhandled: unknown[] = [];
  const listener = (reason: unknown) => unhandled.push(reason);
  process.on("unhandledRejection", listener);
  a.close(new Error("nobody listens"));
  await settled();
  process.off("unhandledRejection", listener);
  assert.equal(unhandled, []);
});

tests.run();
