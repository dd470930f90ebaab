import { suite } from "uvu";
import * as assert from "uvu/assert";
import { messageOf } from "../../src/streams/message-of.ts";

const tests = suite("message of an error");

const coded = (code: string) => Object.assign(new Error(""), { code });

for (const [what, error, words] of [
  ["an error", new Error("the disk is full"), "the disk is full"],
  ["an error without a message", new Error(""), "Error"],
  ["one that has a code", coded("EPIPE"), "EPIPE"],
  ["one that has a cause", new Error("", { cause: new Error("the disk is full") }), "the disk is full"],
  [
    "several in one",
    new AggregateError([new Error("one"), new Error("other"), new Error("one")]),
    "one; other",
  ],
  [
    "several that say nothing",
    new AggregateError([coded("ECONNREFUSED"), coded("ECONNREFUSED")]),
    "ECONNREFUSED",
  ],
  ["several with words for all", new AggregateError([new Error("one")], "none of them"), "none of them"],
  ["none at all", new AggregateError([]), "AggregateError"],
  ["a string", "just so", "just so"],
  ["nothing", undefined, "undefined"],
] as const) {
  tests(what, () => assert.is(messageOf(error), words));
}

tests.run();
