import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ByteQueue } from "../../src/streams/byte-queue.ts";
import { concat } from "../../src/streams/concat.ts";
import { Ended } from "../../src/streams/ended.ts";
import { type Parser, Parsing, parse, parseInto, UnexpectedEndError } from "../../src/streams/parse.ts";
import { collect, cut, failure, hex, isPending, sequence, settled, source, toHex } from "../bytes.ts";
import { within } from "../harness.ts";

const tests = suite("parse");

/** A length in one byte, then so many bytes; a length of 0xff is none. */
function* message(): Parser<string> {
  const [length] = yield 1;
  if (length === 0xff) throw new Error("a bad length");
  return toHex(yield length!);
}

const lengths = [0, 1, 2, 27, 28, 29, 0, 0, 64, 200];
const messages = lengths.map((length, i) => sequence(length, i));
const wire = concat(messages.flatMap((bytes) => [Uint8Array.of(bytes.byteLength), bytes]));

for (const size of [1, 2, 3, 5, 7, 28, 64, 100, 1000]) {
  tests(`chunks of ${size}: the same messages`, async () => {
    const arrays = await collect(source(cut(wire, size)).pipeThrough(parse(message)));
    assert.equal(arrays.flat(), messages.map(toHex));
    assert.ok(arrays.every((array) => array.length > 0));
    if (size === 1000) assert.is(arrays.length, 1, "one array for one chunk");
  });
}

for (const size of [1, 7, 1000]) {
  tests(`chunks of ${size}: the same messages, each taken as soon as it is complete`, async () => {
    const taken: string[] = [];
    await source(cut(wire, size)).pipeTo(parseInto(message, (text) => void taken.push(text)));
    assert.equal(taken, messages.map(toHex));
  });
}

for (const [what, bytes, type] of [
  ["a bad message", "01 aa 01 bb ff 01 cc", /a bad length/],
  ["an end inside a message", "01 aa 01 bb 02 cc", /the data ended inside a text/],
] as const) {
  tests(`${what} fails the pipe once those before it are taken`, async () => {
    const taken: string[] = [];
    const into = parseInto(message, (text) => void taken.push(text), { name: "text" });
    assert.match((await failure(source([hex(bytes)]).pipeTo(into))).message, type);
    assert.equal(taken, ["aa", "bb"]);
  });
}

tests("who takes messages can fail the pipe", async () => {
  const refusal = new Error("not this one");
  const refuse = () => {
    throw refusal;
  };
  assert.is(await failure(source([hex("01 aa")]).pipeTo(parseInto(message, refuse))), refusal);
});

tests("messages that need no bytes at all do not end the parsing of those that do", async () => {
  const parsing = new Parsing(message());
  const queue = new ByteQueue();
  assert.is(parsing.advance(queue), undefined);
  queue.push(hex("00 01"));
  assert.equal(parsing.advance(queue), { value: "" });
  assert.is(queue.length, 1, "no byte beyond the message is taken");
});

tests("an end between messages ends the layer; an empty stream is one", async () => {
  assert.equal(await collect(source<Uint8Array>([]).pipeThrough(parse(message))), []);
  assert.equal(await collect(source([hex("01 aa")]).pipeThrough(parse(message))), [["aa"]]);
});

for (const [what, bytes] of [
  ["behind the length", "01 aa 02"],
  ["inside the rest", "01 aa 03 bb"],
] as const) {
  for (const size of [1, 100]) {
    tests(`an end ${what}, chunks of ${size}: what was complete, then UnexpectedEndError`, async () => {
      const got: string[][] = [];
      const error = await failure(
        collect(source(cut(hex(bytes), size)).pipeThrough(parse(message, { name: "thing" })), got),
      );
      assert.instance(error, UnexpectedEndError);
      assert.match(error.message, /^the data ended inside a thing: [01] of the next [23] bytes had come$/);
      assert.equal(got.flat(), ["aa"]);
    });
  }
}

tests("messages before a bad one are handed on first, also where the reader comes late", async () => {
  for (const late of [false, true]) {
    const { readable, writable } = parse(message);
    const writer = writable.getWriter();
    const got: string[][] = [];
    const collecting = late ? undefined : failure(collect(readable, got));
    const written = failure(writer.write(hex("01 aa 01 bb ff 01 cc")));
    await settled();
    const error = await (collecting ?? failure(collect(readable, got)));
    assert.is(error.message, "a bad length");
    assert.equal(got.flat(), ["aa", "bb"]);
    assert.is((await written).message, "a bad length");
  }
});

tests("a bad first message fails at once", async () => {
  const { readable, writable } = parse(message);
  const written = failure(writable.getWriter().write(hex("ff")));
  assert.is((await failure(collect(readable))).message, "a bad length");
  assert.is((await written).message, "a bad length");
});

tests("nobody reads what was before a bad message: an abort still ends the write", async () => {
  const { writable } = parse(message);
  const writer = writable.getWriter();
  const written = failure(writer.write(hex("01 aa ff")));
  assert.ok(await isPending(written));
  await within(1000, "the abort", writer.abort(new Error("enough")));
  await within(1000, "the write", written);
});

tests("the last message ends the layer cleanly; who writes is told Ended", async () => {
  for (const size of [1, 100]) {
    const { readable, writable } = parse(message, { isLast: (text) => text === "dd" });
    const piped = source(cut(hex("01 aa 01 dd 01 ee 01 ff"), size)).pipeTo(writable);
    const told = failure(piped);
    assert.equal((await collect(readable)).flat(), ["aa", "dd"]);
    assert.instance(await told, Ended);
  }
});

tests("a consumer that cancels ends the writer with its reason", async () => {
  const { readable, writable } = parse(message);
  const writer = writable.getWriter();
  const reason = new Error("enough");
  await readable.cancel(reason);
  assert.is(await failure(writer.write(hex("00"))), reason);
});

tests("a source that fails fails the messages with the same reason", async () => {
  const reason = new Error("the cable was cut");
  const got: string[][] = [];
  const error = await failure(
    collect(source([hex("01 aa 01")], { error: reason }).pipeThrough(parse(message)), got),
  );
  assert.is(error, reason);
});

tests("backpressure: a write waits until its messages were taken", async () => {
  const { readable, writable } = parse(message);
  const writer = writable.getWriter();
  const first = writer.write(hex("01 aa"));
  assert.ok(await isPending(first));
  const reader = readable.getReader();
  assert.equal((await reader.read()).value, ["aa"]);
  await within(1000, "the write", first);
});

tests.run();
