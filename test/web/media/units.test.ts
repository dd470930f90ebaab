import * as assert from "uvu/assert";
import { Units } from "../../../web/media/units.ts";
import { suite } from "../../harness.ts";

/* Numbers with their units, as people read them. */
const tests = suite("units of the page");

const en = new Units("en");
const de = new Units("de");

tests("bytes have the unit that fits, and as many decimals each time", () => {
  const shown = [0, 1, 1023, 1024, 1536, 1024 ** 2 - 1, 1024 ** 2, 300_000_000, 2 * 1024 ** 4].map((n) =>
    en.bytes(n),
  );
  assert.equal(shown, [
    ...["0 B", "1 B", "1,023 B", "1.0 KiB", "1.5 KiB", "1.0 MiB", "1.0 MiB", "286.1 MiB", "2.0 TiB"],
  ]);
  assert.is(de.bytes(300_000_000), "286,1 MiB");
});

tests("rates are in one unit, whatever they are", () => {
  assert.equal(
    [0, 1000, 123_456_789].map((n) => en.rate(n)),
    ["0.0 MiB/s", "0.0 MiB/s", "117.7 MiB/s"],
  );
  assert.is(de.rate(123_456_789), "117,7 MiB/s");
  assert.is(en.perSecond(14_400), "14,400/s");
  assert.is(de.perSecond(14_400), "14.400/s");
  assert.is(en.latency(0.42), "0.4 ms");
});

tests("a share is nothing or all only if it is", () => {
  assert.equal(
    [0, 1e-9, 0.1234, 0.99999, 1].map((n) => en.share(n)),
    ["0.0 %", "0.1 %", "12.3 %", "99.9 %", "100.0 %"],
  );
});

tests("spans are told in what matters", () => {
  const shown = [-5, 12_400, 60_000, 3_599_000, 3_840_000].map((n) => en.span(n));
  assert.equal(shown, ["0 s", "12 s", "1 min", "59 min", "1 h 4 min"]);
});

tests("the clock has 24 hours", () => {
  const at = new Date(2026, 10, 29, 0, 5, 9).getTime();
  assert.is(en.clock(at), "00:05:09");
  assert.is(de.minute(at), "00:05");
});

tests.run();
