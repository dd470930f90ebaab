import * as assert from "uvu/assert";
import { wordsToShow } from "../../../src/node/gateway/status/words-to-show.ts";
import { withWordsForOthers } from "../../../src/streams/for-others.ts";
import { quoted } from "../../../src/streams/quoted.ts";
import { suite } from "../../harness.ts";

const tests = suite("an error in words that anybody may see");

for (const [said, shown] of [
  ["/home/John Smith/secret plans/boot.iso", "…"],
  ['the file "/home/John Smith/boot.iso" is gone', "the file …"],
  ["reading C:\\Users\\John Smith\\boot.iso failed", "reading …"],
  ["\\\\server\\disks of John", "…"],
  ["reading home/John/boot.iso, or ~/John", "reading …"],
  ["the quota is used up", "the quota is used up"],
] as const) {
  tests(`of ${quoted(said)} a path and what comes after it is left out`, () => {
    const error = withWordsForOthers(new Error(`the other side closed: ${quoted(said)}; try again`));
    assert.is(wordsToShow(error), `the other side closed: "${shown}"; try again`);
  });
}

tests("what an error says for this machine only is not shown", () => {
  assert.not.match(wordsToShow(new Error("reading /etc/nbd-proxy/config.json failed")), /etc/);
});

tests("words that were cut within what was said have no path either", () => {
  const error = withWordsForOthers(
    new Error(`${"x".repeat(560)}${quoted("reading /home/John Smith/boot.iso", 200)}`),
  );
  assert.not.match(wordsToShow(error), /John/);
});

tests.run();
