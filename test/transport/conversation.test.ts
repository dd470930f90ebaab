import * as fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import {
  ConversationError,
  formatConversation,
  type Message,
  parseConversation,
} from "../../src/transport/conversation.ts";

const tests = suite("conversation");

const bytes = (...values: number[]) => Uint8Array.from(values);

tests("messages, words, runs, comments and empty lines", () => {
  const text = [
    "# a recording",
    "",
    "# hello",
    "# in two lines",
    "S 4e42 44 # and what it means",
    "C 00*3 FF 0a*2",
    "  C\t01  ",
  ].join("\n");
  assert.equal(parseConversation(text), [
    { from: "server", bytes: bytes(0x4e, 0x42, 0x44), comment: "hello\nin two lines", line: 5 },
    { from: "client", bytes: bytes(0, 0, 0, 0xff, 10, 10), line: 6 },
    { from: "client", bytes: bytes(1), line: 7 },
  ]);
});

tests("lines may end as they do on Windows", () => {
  assert.equal(parseConversation("# x\r\nC 01\r\n"), [
    { from: "client", bytes: bytes(1), comment: "x", line: 2 },
  ]);
});

for (const [what, text, line, problem] of [
  ["an unknown mark", "C 00\nX 00", 2, 'expected C, S or #, not "X"'],
  ["a mark without a space", "C00", 1, 'expected C, S or #, not "C00"'],
  ["half a byte", "# x\n\nC 000", 3, '"000" has an odd number of digits'],
  ["no hexadecimal digits", "S 0g", 1, 'expected bytes or a run, not "0g"'],
  ["a run of none", "S 00*0", 1, 'expected bytes or a run, not "00*0"'],
  ["a run of two bytes", "S 0000*2", 1, 'expected bytes or a run, not "0000*2"'],
  ["a run without a number", "S 00*", 1, 'expected bytes or a run, not "00*"'],
  ["a line without bytes", "C 00\nC", 2, "no bytes after C"],
  ["more than memory has", "S 00*99999999999999999999", 1, "more than 268435456 bytes"],
  ["more than memory has, in pieces", "S 00*200000000\nS 00*200000000", 2, "more than 268435456 bytes"],
] as const) {
  tests(`${what} is refused with the number of the line`, () => {
    try {
      parseConversation(text);
    } catch (error) {
      assert.instance(error, ConversationError);
      assert.is((error as ConversationError).line, line);
      assert.is((error as ConversationError).message, `line ${line}: ${problem}`);
      return;
    }
    assert.unreachable("it was read");
  });
}

tests("lines of 32 bytes in words of four, long runs in short", () => {
  const greeting = Uint8Array.from({ length: 18 }, (_, i) => i + 1);
  const sector = new Uint8Array(512 + 34).fill(7, 2, 514);
  const text = formatConversation([
    { from: "server", bytes: greeting, comment: "hello\n\nagain" },
    { from: "client", bytes: sector },
    { from: "client", bytes: new Uint8Array(31) },
  ]);
  assert.is(
    text,
    [
      "# hello",
      "#",
      "# again",
      "S 01020304 05060708 090a0b0c 0d0e0f10 1112",
      "C 0000 07*512",
      "C 00*32",
      `C ${"00000000 ".repeat(7)}000000`,
      "",
    ].join("\n"),
  );
});

tests("what is in a comment cannot become bytes", () => {
  const text = formatConversation([{ from: "client", bytes: bytes(1), comment: "a\nS 02" }]);
  assert.is(parseConversation(text).length, 1);
});

tests("whatever is written is read again as the same bytes", () => {
  const message = fc.record({
    from: fc.constantFrom<Message["from"]>("client", "server"),
    bytes: fc
      .array(fc.tuple(fc.integer({ min: 0, max: 255 }), fc.integer({ min: 1, max: 80 })), { maxLength: 9 })
      .map((runs) => Uint8Array.from(runs.flatMap(([value, count]) => new Array<number>(count).fill(value)))),
  });
  const spoken = (messages: readonly Message[]) =>
    messages.flatMap(({ from, bytes }) => [...bytes].map((byte) => `${from} ${byte}`));
  fc.assert(
    fc.property(fc.array(message), (messages) => {
      assert.equal(spoken(parseConversation(formatConversation(messages))), spoken(messages));
    }),
  );
});

tests.run();
