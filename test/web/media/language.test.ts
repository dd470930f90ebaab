import * as assert from "uvu/assert";
import { shownNameText } from "../../../web/media/shown-name.ts";
import { Units } from "../../../web/media/units.ts";
import { media as de } from "../../../web/words/de.ts";
import { media as en } from "../../../web/words/en.ts";
import { chooseLanguage } from "../../../web/words/language.ts";
import { suite } from "../../harness.ts";
import { situations } from "./situations.ts";

/* The words of the page in each language. */
const tests = suite("languages of the page");

tests("the first language is chosen that there are words of", () => {
  assert.is(chooseLanguage(["en", "de"], ["de-AT", "en"]), "de");
  assert.is(chooseLanguage(["en", "de"], ["", "fr", "DE", "en"]), "de");
  assert.is(chooseLanguage(["en", "de"], ["fr"]), "en");
  assert.is(chooseLanguage(["en", "de"], []), "en");
});

/** All texts of a language, functions called with something. */
function texts(words: unknown, path = ""): Map<string, string> {
  if (typeof words === "string") return new Map([[path, words]]);
  if (typeof words === "function") return new Map([[path, String(words("A", "B", "C"))]]);
  const entries = Object.entries(words as object);
  return new Map(entries.flatMap(([name, one]) => [...texts(one, `${path}.${name}`)]));
}

const plain = ({ situation: _, map: { told: __, cell: ___, ...map }, ...words }: typeof en) =>
  texts({ ...words, map });

tests("each language says all, and says it in its own words", () => {
  const [english, german] = [plain(en), plain(de)];
  assert.equal([...german.keys()], [...english.keys()]);
  for (const [path, text] of german) assert.ok(text.trim() !== "", path);
  // What is the same in both, as nothing else would be understood.
  const same = [...english].filter(([path, text]) => german.get(path) === text).map(([path]) => path);
  assert.equal(same.sort(), [".options.cache"]);
});

for (const words of [en, de]) {
  const units = new Units(words.language);
  tests(`each situation has words of its own, ${words.language}`, () => {
    const told = new Map(
      Object.values(situations).map((situation) => {
        const tell = words.situation[situation.kind] as (one: unknown, units: Units) => { headline: string };
        return [JSON.stringify(tell(situation, units)), situation.kind];
      }),
    );
    assert.is(told.size, Object.keys(situations).length);
    for (const [text, kind] of told) assert.not.match(text, /undefined|NaN|Invalid|\[object/, kind);
    const kinds = new Set(Object.values(situations).map(({ kind }) => kind));
    assert.equal([...kinds].sort(), Object.keys(words.situation).sort(), "no situation is left out");
  });

  tests(`the five ends have a headline, a cause and a remedy each, ${words.language}`, () => {
    const { lost, ejected, gatewayGone, refused, unreadable } = situations;
    const told = [
      words.situation.lost(lost, units),
      words.situation.ejected(ejected, units),
      words.situation["gateway-gone"](gatewayGone, units),
      words.situation.refused(refused, units),
      words.situation.unreadable(unreadable, units),
    ];
    for (const part of ["headline", "cause", "remedy"] as const) {
      const said = told.map((one) => one[part]);
      assert.is(new Set(said).size, 5, part);
      for (const one of said) assert.ok(one, part);
    }
  });
}

tests("who has the place is told with what, since when, and until when it is waited for", () => {
  const { heldWaiting } = situations;
  const units = new Units("en");
  const { headline, cause, remedy } = en.situation.held(heldWaiting, units);
  assert.is(headline, "In use by 10.9.0.3");
  const { file, since, until } = heldWaiting.holder;
  const when = `since ${units.clock(since!)}, link lost, waiting for it until ${units.minute(until!)}`;
  assert.is(cause, `${file} (350.0 MiB), ${when}`);
  assert.match(remedy!, /^Choose a file and take it over/);
  assert.is(file, shownNameText("debian.iso"));
});

tests.run();
