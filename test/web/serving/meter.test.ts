/** What a server reports, and when: on a clock of its own. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Export } from "../../../src/export/export.ts";
import { Cache } from "../../../src/export/filters/cache.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { Meter, type MeterOptions } from "../../../web/serving/meter.ts";
import { readLevel, timesOf } from "../../../web/serving/read-level.ts";
import type { ServingReport } from "../../../web/serving/report.ts";
import { sequence } from "../../bytes.ts";
import { simulatedClock } from "../../resuming/clock.ts";

const tests = suite("meter");
const SIZE = 1 << 16;
/** When the clock began, in milliseconds since 1970. */
const BEGAN = 1_700_000_000_000;

interface Told {
  at: number;
  report: ServingReport;
}

function setUp(options: Partial<MeterOptions> = {}, next: Export = memoryExport(sequence(SIZE))) {
  const { clock, time } = simulatedClock();
  const told: Told[] = [];
  const meter = new Meter({
    size: next.size,
    cells: 0,
    retry: 60,
    clock,
    wall: () => BEGAN + clock.now(),
    onReport: (report) => told.push({ at: clock.now(), report }),
    ...options,
  });
  const target = meter.over(next, undefined);
  return {
    meter,
    target,
    told,
    clock,
    last: () => told.at(-1)!.report,
    times: () => told.map(({ at }) => at),
    wait: (milliseconds: number) => time.run(time.sleep(milliseconds)),
    /** Reads, each some milliseconds after the one before. */
    async read(times: number, interval: number) {
      for (let i = 0; i < times; i++) {
        await target.read(0, 4096);
        await time.run(time.sleep(interval));
      }
    },
  };
}

tests(
  "the first report after a quiet moment comes at once, and then not more than four a second",
  async () => {
    const { meter, told, times, wait, read } = setUp();
    meter.become("connecting", "connecting");
    assert.equal(times(), [0]);
    await wait(10_500);
    const quiet = told.length;
    await read(1, 0);
    assert.is(told.at(-1)!.at, 10_500);
    assert.is(told.length, quiet + 1);
    await read(4000, 1);
    const busy = times().slice(quiet);
    assert.ok(busy.length >= 16 && busy.length <= 18, `${busy.length} reports in 4 s`);
    for (let i = 1; i < busy.length; i++) assert.ok(busy[i]! - busy[i - 1]! >= 250, `${busy[i]}`);
  },
);

tests("nothing is told while nothing happens", async () => {
  const { meter, told, wait } = setUp({ cells: 16 });
  meter.become("serving", "serving");
  await wait(3000);
  const before = told.length;
  await wait(3_600_000);
  assert.is(told.length, before);
  meter.ask();
  assert.is(told.length, before + 1, "unless somebody asks");
});

tests("a state is told with its line, since when it is, and what failed", async () => {
  const { meter, told, last, wait } = setUp();
  meter.become("connecting", "connecting to ws://there/");
  await wait(400);
  meter.become("waiting", "connected");
  assert.is(last().wasOpen, true);
  assert.equal(last().lines, [{ at: BEGAN + 400, level: "info", text: "connected" }]);
  meter.become("serving", "serving 5 bytes");
  meter.become("unreadable", "reading failed");
  await wait(250);
  assert.is(last().state, "unreadable");
  assert.is(last().since, BEGAN + 400);
  assert.equal(
    last().lines.map(({ level, text }) => [level, text]),
    [
      ["info", "serving 5 bytes"],
      ["error", "reading failed"],
    ],
  );
  const failure = { words: "somebody else has it", code: 4002, reason: "in use" };
  meter.become("failed", failure.words, failure);
  await wait(250);
  assert.equal([last().state, last().failure], ["failed", failure]);
  const { length } = told;
  meter.ask();
  await wait(10_000);
  assert.is(told.length, length, "that was the last report");
});

tests("a link that is lost is told until the state after the next one", async () => {
  const { meter, last, wait } = setUp({ retry: 300 });
  meter.become("serving", "serving");
  await wait(1500);
  meter.become("reconnecting", "lost");
  const lost = { at: BEGAN + 1500, until: BEGAN + 301_500 };
  assert.equal(last().lost, lost);
  await wait(5000);
  meter.become("reconnecting", "trying again");
  assert.equal([last().lost, last().since], [lost, BEGAN + 1500]);
  await wait(1000);
  meter.become("serving", "serving");
  assert.equal(last().lost, lost);
  await wait(1000);
  meter.become("unreadable", "reading failed");
  assert.is(last().lost, undefined);
});

tests("lines that nobody takes are bounded, and what was left out is said", async () => {
  const { meter, last, wait } = setUp();
  for (let i = 0; i < 1000; i++) meter.become("reconnecting", `attempt ${i}`);
  await wait(250);
  const { lines } = last();
  assert.ok(lines.length <= 101, `${lines.length} lines`);
  assert.is(lines[0]!.text, "899 earlier lines were left out");
  assert.is(lines.at(-1)!.text, "attempt 999");
});

tests("samples: what a second had, and of quiet seconds the first and the last", async () => {
  const { told, wait, read } = setUp();
  await read(10, 100);
  await wait(9500);
  await read(4, 100);
  await wait(2000);
  const samples = told.flatMap(({ report }) => report.samples);
  assert.equal(
    samples.map(({ at, bytesRead, requests }) => [at - BEGAN, bytesRead, requests]),
    [
      [1000, 40_960, 10],
      [2000, 0, 0],
      [10_000, 0, 0],
      [11_000, 16_384, 4],
      [12_000, 0, 0],
    ],
  );
  assert.is(samples[0]!.latency, 0);
  assert.is(samples[1]!.latency, undefined);
});

tests("a timer that is late does not make a peak of what came meanwhile", async () => {
  const { clock, time } = simulatedClock();
  let delay = 0;
  const told: ServingReport[] = [];
  const slow = {
    ...clock,
    after: (milliseconds: number, callback: () => void) => clock.after(milliseconds + delay, callback),
  };
  const meter = new Meter({
    size: SIZE,
    cells: 0,
    retry: 0,
    clock: slow,
    wall: () => BEGAN + clock.now(),
    onReport: (report) => told.push(report),
  });
  const target = meter.over(memoryExport(sequence(SIZE)), undefined);
  delay = 59_000;
  await time.run(time.sleep(1000));
  for (let i = 0; i < 60; i++) await target.read(0, 4096);
  await time.run(time.sleep(121_000));
  const samples = told.flatMap((report) => report.samples).filter(({ requests }) => requests > 0);
  assert.equal(
    samples.map(({ bytesRead, requests }) => [bytesRead, requests]),
    [
      [4096, 1],
      [4096, 1],
    ],
  );
  assert.is(samples[1]!.at - samples[0]!.at, 59_000);
});

tests("totals: what succeeded, what failed, what is under way, and what was met", async () => {
  const answer = deferred<Uint8Array>();
  let isBroken = false;
  const disk = memoryExport(sequence(SIZE));
  const next: Export = {
    ...disk,
    read: (offset, length) => {
      if (isBroken) return Promise.reject(new Error("broken"));
      return offset === 8192 ? answer.promise : disk.read(offset, length);
    },
  };
  const { target, last, wait } = setUp({}, next);
  await target.read(0, 4096);
  await target.read(0, 4096);
  await target.write!(1024, new Uint8Array(512));
  const reading = target.read(8192, 512);
  await wait(1250);
  assert.equal(last().totals, {
    reads: 2,
    bytesRead: 8192,
    writes: 1,
    bytesWritten: 512,
    errors: 0,
    outstanding: 1,
    hits: 0,
    misses: 3,
    bytesCovered: 4096,
  });
  assert.is(last().lastReadAt, BEGAN);
  answer.resolve(new Uint8Array(512));
  await reading;
  isBroken = true;
  await target.read(0, 512).catch(() => {});
  await wait(1000);
  const { outstanding, reads, errors } = last().totals;
  assert.equal([outstanding, reads, errors], [0, 3, 1]);
});

tests("hits are reads whose bytes were in the cache, or on their way", async () => {
  const { clock, time } = simulatedClock();
  const told: ServingReport[] = [];
  const meter = new Meter({ size: SIZE, cells: 0, retry: 0, clock, onReport: (report) => told.push(report) });
  const cache = new Cache(memoryExport(sequence(SIZE)), { budget: SIZE });
  const target = meter.over(cache.export, cache);
  await Promise.all([target.read(0, 4096), target.read(1024, 1024)]);
  await target.read(2048, 2048);
  await target.read(2048, 4096);
  await time.run(time.sleep(1000));
  assert.equal([told.at(-1)!.totals.hits, told.at(-1)!.totals.misses], [2, 2]);
});

tests("the map agrees with the counts, and is told once a second if it has changed", async () => {
  const { clock, time } = simulatedClock();
  const told: Told[] = [];
  const meter = new Meter({
    size: SIZE,
    cells: 16,
    retry: 0,
    clock,
    onReport: (report) => told.push({ at: clock.now(), report }),
  });
  const cache = new Cache(memoryExport(sequence(SIZE)), { budget: SIZE / 2 });
  const target = meter.over(cache.export, cache);
  meter.become("serving", "serving");
  const first = told[0]!.report.map!;
  assert.is(first.cellSize, 4096);
  assert.equal([...first.reads, ...first.writes, ...first.cached], Array(48).fill(0));

  await target.read(0, 8192);
  for (let i = 0; i < 3; i++) await target.read(4096, 4096);
  await target.write!(12_288, new Uint8Array(4096));
  await time.run(time.sleep(1250));
  const { map } = told.filter(({ report }) => report.map).at(-1)!.report;
  const rest = Array(12).fill(0);
  assert.equal([...map!.reads], [readLevel(1), readLevel(4), 0, 0, ...rest]);
  assert.equal([...map!.writes], [0, 0, 0, 255, ...rest]);
  assert.equal([...map!.cached], [255, 255, 0, 0, ...rest]);
  structuredClone(map, { transfer: [map!.reads.buffer, map!.writes.buffer, map!.cached.buffer] });

  const before = told.length;
  await time.run(time.sleep(10_000));
  assert.equal(
    told.slice(before).filter(({ report }) => report.map),
    [],
    "what has not changed is not told",
  );
  for (let i = 0; i < 5000; i++) {
    await target.read(4096 * (i % 16), 512);
    await time.run(time.sleep(1));
  }
  const maps = told.slice(before).filter(({ report }) => report.map);
  assert.ok(maps.length >= 4 && maps.length <= 6, `${maps.length} maps in 5 s`);
  for (let i = 1; i < maps.length; i++) assert.ok(maps[i]!.at - maps[i - 1]!.at >= 1000);
});

tests("the last report has the last of the map", async () => {
  const { meter, target, last, wait } = setUp({ cells: 16 });
  meter.become("serving", "serving");
  await target.read(0, 4096);
  meter.become("ended", "over");
  await wait(250);
  assert.equal([last().state, last().map?.reads[0]], ["ended", readLevel(1)]);
});

tests("without cells there is no map, and never more cells than are told apart", async () => {
  const none = setUp({ cells: 0 });
  none.meter.become("serving", "serving");
  assert.is(none.last().map, undefined);
  const many = setUp({ cells: Number.POSITIVE_INFINITY, size: 2 ** 41 });
  many.meter.become("serving", "serving");
  assert.is(many.last().map!.reads.length, 1 << 16);
});

tests("levels of reads", () => {
  assert.equal([0, 1e-9, 1, 3, 7, 1e9].map(readLevel), [0, 1, 16, 32, 48, 255]);
  for (const level of [16, 100, 200]) assert.is(readLevel(timesOf(level)), level);
});

tests.run();
