/** What the tab says about all cards together. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tone } from "../../../web/media/situation.ts";
import { overall } from "../../../web/slots/overall.ts";

const tests = suite("the state of a tab");

const card = (tone: Tone, headline: string, isOurs = true) => ({ tone, headline, file: "a.iso", isOurs });

tests("without anything served it is quiet, whatever others do", () => {
  assert.equal(overall([]), { tone: "quiet", first: undefined, count: 0 });
  assert.is(overall([card("warning", "In use", false), card("bad", "Failed", false)]).tone, "quiet");
});

tests("the worst of what this page serves is said", () => {
  const tones: Tone[] = ["quiet", "good", "busy", "warning", "bad"];
  tones.forEach((worst, i) => {
    const states = tones.slice(0, i + 1).map((tone) => card(tone, tone));
    const { tone, first, count } = overall([...states].reverse());
    assert.equal([tone, first?.headline, count], [worst, worst, 1]);
  });
});

tests("those that are in the same state are counted", () => {
  const { first, count } = overall([card("good", "one"), card("quiet", "none"), card("good", "two")]);
  assert.is(first?.headline, "one");
  assert.is(count, 2);
});

tests.run();
