import * as assert from "uvu/assert";
import { shownName, shownNameText } from "../../../web/media/shown-name.ts";
import { suite } from "../../harness.ts";

/* A file's name says what it is, whatever is in it. */
const tests = suite("names of files as they are shown");

const text = (name: string) => {
  const { stem, ending } = shownName(name);
  return [stem, ending].map((parts) => parts.map((part) => part.text).join(""));
};

tests("a plain name is shown as it is", () => {
  assert.equal(text("debian-12.iso"), ["debian-12", ".iso"]);
  assert.equal(text("My disk (2).img"), ["My disk (2)", ".img"]);
  assert.equal(text("Übung-日本語.iso"), ["Übung-日本語", ".iso"]);
  assert.equal(text("README"), ["README", ""]);
  assert.equal(text(".profile"), [".profile", ""]);
  assert.is(shownName("a.iso").stem[0]?.isEscape, false);
});

tests("what turns text around, joins it or cannot be seen is shown as its number", () => {
  for (const code of [
    0x202e, 0x200f, 0x2066, 0x061c, 0x200d, 0xfeff, 0x00ad, 0x0a, 0x1b, 0x7f, 0x85, 0x2028, 0xe000, 0xd800,
    0x3164, 0x115f, 0xfe0f, 0xa0, 0x3000,
  ]) {
    const shown = text(`disk${String.fromCodePoint(code)}osi.exe`).join("");
    const number = code.toString(16).toUpperCase().padStart(4, "0");
    assert.is(shown, `disk⟨U+${number}⟩osi.exe`);
  }
  const parts = shownName("a\u202eb").stem;
  assert.equal(
    parts.map(({ isEscape }) => isEscape),
    [false, true, false],
  );
});

tests("spaces that would not be seen are shown as numbers", () => {
  assert.equal(text("disk.iso "), ["disk", ".iso⟨U+0020⟩"]);
  assert.is(text(" disk.iso").join(""), "⟨U+0020⟩disk.iso");
  assert.is(text("disk.iso      .exe").join(""), `disk.iso${"⟨U+0020⟩".repeat(6)}.exe`);
  assert.is(text("a disk.iso").join(""), "a disk.iso");
});

tests("letters that are read from the right cannot move the ending", () => {
  assert.equal(text("תמונה.iso"), ["תמונה", ".iso"]);
  assert.is(shownNameText("תמונה.iso"), "\u2066\u2068תמונה\u2069.iso\u2069");
  assert.is(shownNameText("README"), "\u2066\u2068README\u2069\u2069");
});

tests("of a very long name the middle is left out, and the ending stays", () => {
  const [stem, ending] = text(`${"x".repeat(100_000)}.iso`);
  assert.is(ending, ".iso");
  assert.ok(stem!.length < 200 && stem!.includes("…"));
});

tests.run();
