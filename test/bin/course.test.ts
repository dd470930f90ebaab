/** What becomes of an image that is served: states, losses, and the summary at the end; and the pace. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Course } from "../../bin/serve/course.ts";
import { PaceMeter } from "../../bin/serve/pace.ts";
import { memoryExport } from "../../src/export/memory.ts";

const tests = suite("the course of nbd-serve");

function begin() {
  const clock = { time: 1000 };
  const target = memoryExport(new Uint8Array(1 << 20));
  const course = new Course({ size: target.size, isWritable: false, retry: 300, now: () => clock.time });
  return { clock, course, counted: course.counts.over(target) };
}

tests("a loss lasts until something is asked for again", async () => {
  const { clock, course, counted } = begin();
  assert.is(course.state, "connecting");
  course.serving();
  await counted.read(0, 512);
  assert.is(course.patience, undefined);
  course.lost();
  assert.is(course.patience, 300_000);
  clock.time += 100_000;
  course.lost();
  assert.is(course.patience, 200_000, "an attempt has failed");
  course.serving();
  assert.is(course.patience, undefined);
  clock.time += 1000;
  course.lost();
  assert.is(course.patience, 199_000, "nothing was asked for");
  course.serving();
  await counted.read(0, 512);
  clock.time += 1000;
  course.lost();
  assert.is(course.patience, 300_000);
  clock.time += 301_000;
  assert.is(course.patience, 0);
  assert.is(course.losses, 3);
});

tests("what is ejected stays so", () => {
  const { course } = begin();
  course.serving();
  course.ejecting();
  course.lost();
  course.serving();
  assert.is(course.state, "ejecting");
  assert.is(course.losses, 0);
});

tests("its summary is that of a gateway", async () => {
  const { clock, course, counted } = begin();
  assert.is(course.summary("failed"), undefined, "nobody could read it");
  course.serving();
  for (let i = 0; i < 3; i++) await counted.read(0, 1 << 20);
  course.lost();
  course.serving();
  clock.time += 240_000;
  assert.is(course.summary("ejected"), "ejected after 4 min, 3.1 MB in 3 reads, link lost once");
});

tests("the pace is a mean over three seconds, and falls to nothing", async () => {
  const { clock, course, counted } = begin();
  const meter = new PaceMeter(course.counts, () => clock.time);
  assert.equal(meter.look(), { bytesPerSecond: 0, requestsPerSecond: 0, latency: undefined });
  // Twice a second, two reads of 64 KiB that take 100 ms.
  for (let look = 0; look < 10; look++) {
    const reads = [counted.read(0, 1 << 16), counted.read(0, 1 << 16)];
    clock.time += 100;
    await Promise.all(reads);
    clock.time += 400;
    const { bytesPerSecond, requestsPerSecond, latency } = meter.look();
    assert.is(bytesPerSecond, 4 * (1 << 16));
    assert.is(requestsPerSecond, 4);
    assert.ok(Math.abs(latency! - 100) < 1e-6, `${latency} ms`);
  }
  clock.time += 1500;
  assert.is(meter.look().requestsPerSecond, 2);
  clock.time += 1500;
  assert.equal(meter.look(), { bytesPerSecond: 0, requestsPerSecond: 0, latency: undefined });
});

tests.run();
