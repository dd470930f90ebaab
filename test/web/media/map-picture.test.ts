import * as assert from "uvu/assert";
import {
  cellAt,
  cellBelow,
  layOut,
  lookOf,
  looksOf,
  meanShare,
  shadeOf,
  stepOf,
} from "../../../web/media/map-picture.ts";
import { readLevel } from "../../../web/serving/read-level.ts";
import { suite } from "../../harness.ts";

/* What is drawn of a map of an image. */
const tests = suite("the picture of a map");

tests("how often a cell was read is one of five shades", () => {
  const times = [0, 0.01, 0.9, 1, 2, 3, 6, 7, 30, 31, 1e6];
  assert.equal(
    times.map((one) => shadeOf(readLevel(one))),
    [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5],
  );
});

tests("any share that is not nothing is seen", () => {
  assert.equal([0, 1, 63, 64, 128, 192, 255].map(stepOf), [0, 1, 1, 2, 3, 4, 4]);
});

tests("a look has all that is seen of a cell, and nothing else", () => {
  const map = {
    cellSize: 4096,
    reads: Uint8Array.of(0, 16, 17, 255),
    writes: Uint8Array.of(0, 0, 0, 255),
    cached: Uint8Array.of(0, 10, 12, 128),
  };
  const looks = looksOf(map);
  assert.equal([...looks].map(lookOf), [
    { shade: 0, written: 0, cached: 0 },
    { shade: 2, written: 0, cached: 0.25 },
    { shade: 2, written: 0, cached: 0.25 },
    { shade: 5, written: 1, cached: 0.75 },
  ]);
  assert.is(looks[1], looks[2], "what is different, and looks alike, is not drawn again");
  assert.is(meanShare(Uint8Array.of(255, 0, 0, 255)), 0.5);
  assert.is(meanShare(new Uint8Array(0)), 0);
});

for (const width of [300, 320, 640, 1360]) {
  for (const density of [1, 1.25, 2, 3]) {
    for (const cells of [1, 3, 100, 2048]) {
      tests(
        `${cells} cells lie beside each other on ${width} pixels of density ${density}, inside the canvas`,
        () => {
          const layout = layOut(cells, width, density);
          assert.ok(layout.columns * layout.rows >= cells);
          assert.ok(layout.width <= width * density);
          const places = new Set<string>();
          for (let i = 0; i < cells; i++) {
            const { x, y, ...size } = cellAt(i, layout);
            assert.ok(x >= 0 && x + size.width <= layout.width, `${i}: ${x} + ${size.width}`);
            assert.ok(
              y >= 0 && y + size.height <= layout.height,
              `${i}: ${y} + ${size.height} of ${layout.height}`,
            );
            places.add(`${x} ${y}`);
            assert.is(cellBelow(x + size.width / 2, y + size.height / 2, cells, layout), i);
          }
          assert.is(places.size, cells);
        },
      );
    }
  }
}

tests("beside the cells there is none", () => {
  const layout = layOut(100, 320, 1);
  assert.is(cellBelow(layout.width - 1, layout.height - 1, 100, layout), undefined);
  assert.is(cellBelow(5, -1, 100, layout), undefined);
  assert.is(cellBelow(Number.NaN, 0, 100, layout), undefined);
});

tests.run();
