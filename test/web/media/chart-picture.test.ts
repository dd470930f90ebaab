import * as assert from "uvu/assert";
import { minutesBetween, piecesOf, scaleOf } from "../../../web/media/chart-picture.ts";
import { suite } from "../../harness.ts";

/* Where the lines of a chart are. */
const tests = suite("the picture of a chart");

const frame = { left: 10, top: 0, right: 110, bottom: 50 };

tests("a known pattern of values gives known points", () => {
  const times = [1000, 1025, 1050, 1100];
  const values = [0, 5, null, 8];
  const scale = scaleOf(times, [values]);
  assert.equal(scale, { from: 1000, to: 1100, most: 8 });
  assert.equal(piecesOf(times, values, scale, frame), [
    [
      { x: 10, y: 50 },
      { x: 35, y: 50 - (5 / 8) * 50 },
    ],
    [{ x: 110, y: 0 }],
  ]);
});

tests("a minute is shown at least, and the top is a round number that changes seldom", () => {
  assert.equal(scaleOf([1000], [[0.3]]), { from: 940, to: 1000, most: 0.4 });
  assert.equal(
    [0, 1, 1.1, 3, 5, 7, 9, 241, 14_400].map((value) => scaleOf([0], [[value, null]]).most),
    [1, 1, 2, 4, 6, 8, 10, 400, 20_000],
  );
  assert.is(
    scaleOf(
      [0, 1],
      [
        [1, 2],
        [30, null],
      ],
    ).most,
    40,
  );
});

tests("minutes are named as often as there is room", () => {
  const scale = { from: 950, to: 1250, most: 1 };
  assert.equal(minutesBetween(scale, 10), [960, 1020, 1080, 1140, 1200]);
  assert.equal(minutesBetween(scale, 3), [960, 1080, 1200]);
  assert.equal(minutesBetween(scale, 0), [1200]);
  assert.equal(minutesBetween({ from: 1001, to: 1010, most: 1 }, 5), []);
});

tests.run();
