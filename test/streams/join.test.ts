import { suite } from "uvu";
import * as assert from "uvu/assert";
import { deferred } from "../../src/streams/deferred.ts";
import { Ended } from "../../src/streams/ended.ts";
import { join } from "../../src/streams/join.ts";
import { transportPair } from "../../src/streams/pair.ts";
import {
  collect,
  collectBytes,
  cut,
  failure,
  hex,
  isPending,
  sequence,
  settled,
  source,
  toHex,
} from "../bytes.ts";
import { within } from "../harness.ts";

const tests = suite("join");

// A rejection that nobody handles is what bare pipes leave behind: any in this file fails its test.
const unhandled: unknown[] = [];
const listener = (reason: unknown) => unhandled.push(reason);
tests.before(() => void process.on("unhandledRejection", listener));
tests.after(() => void process.off("unhandledRejection", listener));
tests.after.each(async () => {
  await settled();
  assert.equal(unhandled.splice(0), [], "no rejection is left unhandled");
});

/** Two channels joined in the middle, with their outer ends. */
function joined(options: { signal?: AbortSignal } = {}) {
  const [left, a] = transportPair();
  const [b, right] = transportPair();
  return { left, right, a, b, over: join(a, b, options) };
}

/** Fails unless all four outer streams have ended with `reason`. One that was cancelled here just reads as ended. */
async function allFailed({ left, right }: Pick<ReturnType<typeof joined>, "left" | "right">, reason: Error) {
  let ended = 0;
  for (const { readable, writable } of [left, right]) {
    const read = collect(readable).catch((error) => error);
    const end = await within(1000, "a readable", read);
    if (end !== reason) assert.is(++ended, 1, `it ended with ${end}`);
    assert.is(await within(1000, "a writable", failure(writable.getWriter().write(hex("01")))), reason);
  }
}

for (const size of [1, 7, 100, 1000]) {
  tests(`both directions at once, chunks of ${size}`, async () => {
    const { left, right, over } = joined();
    const [there, back] = [sequence(500), sequence(300, 9)];
    const sending = [
      source(cut(there, size)).pipeTo(left.writable),
      source(cut(back, size)).pipeTo(right.writable),
    ];
    const [atRight, atLeft] = await Promise.all([collectBytes(right.readable), collectBytes(left.readable)]);
    assert.equal(atRight, there);
    assert.equal(atLeft, back);
    await within(1000, "join", over);
    await Promise.all(sending);
  });
}

tests("one direction ends: the other goes on, and join waits for it", async () => {
  const { left, right, over } = joined();
  await left.writable.close();
  assert.equal(await collect(right.readable), []);
  assert.ok(await isPending(over));
  const sent = source([hex("0a"), hex("0b")]).pipeTo(right.writable);
  assert.equal((await collect(left.readable)).map(toHex), ["0a", "0b"]);
  await within(1000, "join", over);
  await sent;
});

for (const [what, fail] of [
  ["a source that fails", (l, _r, reason) => l.writable.abort(reason)],
  ["a destination that is cancelled", (l, _r, reason) => l.readable.cancel(reason)],
  ["the other source", (_l, r, reason) => r.writable.abort(reason)],
  ["the other destination", (_l, r, reason) => r.readable.cancel(reason)],
  ["a transport that closes with a reason", (l, _r, reason) => l.close(reason)],
] as [string, (l: Side, r: Side, reason: Error) => unknown][]) {
  tests(`${what} ends all four ends with its reason`, async () => {
    const ends = joined();
    const reason = new Error("broken");
    await settled();
    await fail(ends.left, ends.right, reason);
    assert.is(await within(1000, "join", failure(ends.over)), reason);
    await allFailed(ends, reason);
  });
}
type Side = ReturnType<typeof transportPair>[0];

tests("channels without close(), plain streams, are ended on all four ends too", async () => {
  const ends = joined();
  ends.left.close();
  const [left, a] = transportPair();
  const [b, right] = transportPair();
  const plain = ({ readable, writable }: Side) => ({ readable, writable });
  const over = join(plain(a), plain(b));
  const reason = new Error("broken");
  await left.writable.abort(reason);
  assert.is(await within(1000, "join", failure(over)), reason);
  await allFailed({ left, right }, reason);
  await ends.over;
});

tests("a write that hangs is interrupted by close()", async () => {
  const hung = deferred();
  const closings: unknown[] = [];
  const stuck = {
    readable: source<Uint8Array>([], "open"),
    // As a socket whose other side does not read: only the end of the socket lets the write go.
    writable: new WritableStream<Uint8Array>({ write: () => hung.promise }),
    close(reason?: unknown) {
      closings.push(reason);
      hung.reject(reason);
    },
  };
  const [a, b] = transportPair();
  const over = failure(join(stuck, a));
  const writer = b.writable.getWriter();
  writer.write(hex("01")).catch(() => {});
  await settled();
  const reason = new Error("broken");
  await b.readable.cancel(reason);
  stuck.readable.cancel().catch(() => {});
  b.close(reason);
  assert.is(await within(1000, "join", over), reason);
  assert.equal(closings, [reason]);
});

tests("the signal, with a failure as its reason, ends all four ends with it", async () => {
  const abort = new AbortController();
  const ends = joined({ signal: abort.signal });
  const reason = new Error("given up");
  await settled();
  abort.abort(reason);
  assert.is(await within(1000, "join", failure(ends.over)), reason);
  await allFailed(ends, reason);
});

tests("the signal with Ended is no failure: readers see the end, writers Ended", async () => {
  for (const early of [true, false]) {
    const abort = new AbortController();
    if (early) abort.abort(new Ended());
    const { left, right, over } = joined({ signal: abort.signal });
    await settled();
    abort.abort(new Ended());
    await within(1000, "join", over);
    for (const { readable, writable } of [left, right]) {
      assert.equal(await collect(readable), []);
      assert.instance(await failure(writable.getWriter().write(hex("01"))), Ended);
    }
  }
});

tests("the signal with Ended interrupts a write that hangs", async () => {
  const abort = new AbortController();
  const hung = deferred();
  const stuck = {
    readable: source<Uint8Array>([], "open"),
    writable: new WritableStream<Uint8Array>({ write: () => hung.promise }),
    close: (reason?: unknown) => hung.reject(reason),
  };
  const [a, b] = transportPair();
  const over = join(stuck, a, { signal: abort.signal });
  b.writable
    .getWriter()
    .write(hex("01"))
    .catch(() => {});
  await settled();
  abort.abort(new Ended());
  await within(1000, "join", over);
});

tests("a side that says Ended to its writer ends that direction without a failure", async () => {
  const { left, right, over } = joined();
  await settled();
  await right.readable.cancel(new Ended());
  assert.instance(await failure(left.writable.getWriter().write(hex("01"))), Ended);
  assert.ok(await isPending(over));
  const sent = source([hex("0a")]).pipeTo(right.writable);
  assert.equal((await collect(left.readable)).map(toHex), ["0a"]);
  await within(1000, "join", over);
  await sent;
});

tests("a channel that is in use already is refused, and the other one ended", async () => {
  const [left, a] = transportPair();
  const [b, right] = transportPair();
  a.readable.getReader();
  assert.instance(await within(1000, "join", failure(join(a, b))), TypeError);
  assert.instance(await failure(collect(right.readable)), TypeError);
  assert.instance(await failure(left.writable.getWriter().write(hex("01"))), TypeError);
});

tests.run();
