import * as assert from "uvu/assert";
import { SampleHistory } from "../../../web/media/sample-history.ts";
import type { RateSample } from "../../../web/serving/report.ts";
import { suite } from "../../harness.ts";

/* Rates of the last minutes: what the charts are drawn from. */
const tests = suite("the history of rates");

const sample = (second: number, requests: number, latency?: number): RateSample => ({
  at: 1000 * second,
  ...{ bytesRead: requests << 20, bytesWritten: 0, requests, latency },
});

tests("a known pattern of reads gives the columns of the charts, and their means", () => {
  const history = new SampleHistory();
  assert.ok(history.isEmpty);
  history.add([sample(100, 4, 2), sample(101, 8, 5)]);
  history.add([sample(102, 0), sample(109, 0), sample(110, 8, 1)]);
  assert.equal(history.columns(), {
    times: [100, 101, 102, 109, 110],
    read: [4, 8, 0, 0, 8],
    written: [0, 0, 0, 0, 0],
    requests: [4, 8, 0, 0, 8],
    latency: [2, 5, null, null, 1],
  });
  // 20 requests in the 11 seconds from that which ended at 100 to that which ended at 110.
  assert.equal(history.requests, { now: 8, mean: 20 / 11 });
  assert.equal(history.bytesRead, { now: 8 << 20, mean: (20 << 20) / 11 });
  assert.equal(
    [0, 101_400, 105_000, 1e9].map((at) => history.nearest(at)?.at),
    [100_000, 101_000, 102_000, 110_000],
  );
  assert.equal(history.latency, { now: 1, mean: (4 * 2 + 8 * 5 + 8) / 20 });
});

tests("it keeps some minutes, whatever comes, and lines never cross", () => {
  const history = new SampleHistory();
  for (let second = 0; second < 1000; second++) history.add([sample(second, 1)]);
  const { times } = history.columns();
  assert.is(times.at(-1), 999);
  assert.is(times[0], 700);
  history.add([sample(5, 1)]);
  assert.is(history.columns().times.at(-1), 999, "a clock that was set back adds nothing");
  const dense = new SampleHistory();
  dense.add(Array.from({ length: 100_000 }, (_, i) => sample(i / 1000, 1)));
  assert.ok(dense.columns().times.length <= 400);
});

tests.run();
