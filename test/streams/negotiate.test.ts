import { suite } from "uvu";
import * as assert from "uvu/assert";
import { negotiate } from "../../src/streams/negotiate.ts";
import { transportPair } from "../../src/streams/pair.ts";
import { type Parser, UnexpectedEndError } from "../../src/streams/parse.ts";
import { collect, collectBytes, cut, failure, hex, isPending, sequence, source, toHex } from "../bytes.ts";
import { within } from "../harness.ts";

const tests = suite("negotiate");

function* exactly(length: number): Parser<string> {
  return toHex(yield length);
}

/** A writable that keeps what it is given, and how it ended. */
function sink() {
  const chunks: Uint8Array[] = [];
  const ends: unknown[] = [];
  const writable = new WritableStream<Uint8Array>({
    write: (chunk) => void chunks.push(chunk as Uint8Array),
    close: () => void ends.push("closed"),
    abort: (reason) => void ends.push(reason),
  });
  return { writable, chunks, ends };
}

for (const size of [1, 2, 3, 7, 10, 64, 1000]) {
  tests(`chunks of ${size}: the rest begins where the dialogue stopped`, async () => {
    const bytes = sequence(100);
    const out = sink();
    const channel = { readable: source(cut(bytes, size)), writable: out.writable };
    const { result, rest } = await negotiate(channel, async (dialogue) => {
      const first = await dialogue.read(exactly(3), "first");
      await dialogue.write(hex("aa"));
      return [first, await dialogue.read(exactly(0), "nothing"), await dialogue.read(exactly(7), "second")];
    });
    assert.equal(result, [toHex(bytes.slice(0, 3)), "", toHex(bytes.slice(3, 10))]);
    assert.equal(await collectBytes(rest.readable), bytes.slice(10));
    const writer = rest.writable.getWriter();
    await writer.write(hex("bb"));
    await writer.close();
    assert.equal(out.chunks.map(toHex), ["aa", "bb"]);
    assert.equal(out.ends, ["closed"]);
  });
}

tests("what came ahead is there although nothing more comes", async () => {
  const channel = { readable: source([hex("01 02 03")], "open"), writable: sink().writable };
  const { rest } = await negotiate(channel, (dialogue) => dialogue.read(exactly(1), "first"));
  const { value } = await within(1000, "the read", rest.readable.getReader().read());
  assert.is(toHex(value!), "0203");
});

tests("where nothing is left the rest is the channel itself", async () => {
  const channel = { readable: source([hex("01"), hex("02")]), writable: sink().writable };
  const { rest } = await negotiate(channel, (dialogue) => dialogue.read(exactly(1), "first"));
  assert.is(rest.readable, channel.readable);
  assert.equal(await collectBytes(rest.readable), hex("02"));
});

tests("a dialogue that reads nothing leaves everything", async () => {
  const channel = { readable: source([hex("01 02")]), writable: sink().writable };
  const { result, rest } = await negotiate(channel, async () => 7);
  assert.is(result, 7);
  assert.equal(await collectBytes(rest.readable), hex("01 02"));
});

tests("an end before or inside a message says what was expected, and ends both streams", async () => {
  for (const chunks of [[], [hex("01")]]) {
    const out = sink();
    const channel = { readable: source(chunks), writable: out.writable };
    const error = await failure(negotiate(channel, (dialogue) => dialogue.read(exactly(2), "greeting")));
    assert.instance(error, UnexpectedEndError);
    assert.is(error.message, "the connection ended before the greeting came");
    assert.not(await isPending(Promise.resolve()));
    assert.equal(out.ends, [error], "it does not pass for an orderly end");
  }
});

tests("a dialogue that throws: what it sent goes out, then both streams end", async () => {
  const [a, b] = transportPair();
  const reason = new Error("not understood");
  const writer = b.writable.getWriter();
  writer.write(hex("01 02")).catch(() => {});
  const failed = failure(
    negotiate(a, async (dialogue) => {
      await dialogue.read(exactly(1), "first");
      dialogue.write(hex("ee")).catch(() => {});
      throw reason;
    }),
  );
  assert.is(await within(1000, "negotiate", failed), reason);
  assert.equal((await collect(b.readable)).map(toHex), ["ee"]);
  assert.is(await failure(writer.closed), reason);
});

tests("what a parser throws, and a failure of the stream, is what negotiate rejects with", async () => {
  const reason = new Error("bad magic");
  // biome-ignore lint/correctness/useYield: a parser may find its first step wrong
  function* bad(): Parser<string> {
    throw reason;
  }
  const channel = { readable: source([hex("01")]), writable: sink().writable };
  assert.is(await failure(negotiate(channel, async (dialogue) => dialogue.read(bad(), "x"))), reason);
  const broken = { readable: source<Uint8Array>([], { error: reason }), writable: sink().writable };
  assert.is(await failure(negotiate(broken, (dialogue) => dialogue.read(exactly(1), "x"))), reason);
});

tests("the rest passes on failure and cancel", async () => {
  const reason = new Error("the cable was cut");
  const channel = { readable: source([hex("01 02")], { error: reason }), writable: sink().writable };
  const { rest } = await negotiate(channel, (dialogue) => dialogue.read(exactly(1), "first"));
  const got: Uint8Array[] = [];
  assert.is(await failure(collect(rest.readable, got)), reason);
  assert.equal(got.map(toHex), ["02"]);

  const [a, b] = transportPair();
  const second = await negotiate(a, async () => {});
  await second.rest.readable.cancel(reason);
  assert.is(await failure(b.writable.getWriter().write(hex("01"))), reason);
});

tests("a dialogue does not wait until its words have left, unless they are many", async () => {
  const [quiet] = transportPair();
  await within(
    1000,
    "few words",
    negotiate(quiet, (dialogue) => dialogue.write(hex("01"))),
  );
  const [a] = transportPair();
  const negotiated = negotiate(a, (dialogue) => dialogue.write(new Uint8Array(70_000)));
  assert.ok(await isPending(negotiated));
  a.close();
  await failure(negotiated).catch(() => {});
});

tests("very many short words of a dialogue wait too: each takes memory besides its bytes", async () => {
  const [a] = transportPair();
  let said = 0;
  const negotiated = negotiate(a, async (dialogue) => {
    for (; said < 1000; said++) await dialogue.write(hex("01"));
  });
  assert.ok(await isPending(negotiated));
  assert.ok(said < 100, `${said} words wait to leave`);
  a.close();
  await failure(negotiated).catch(() => {});
});

tests.run();
