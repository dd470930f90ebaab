/** The line that nbd-serve shows on a terminal: what it says, and that it fits. */
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Course } from "../../bin/serve/course.ts";
import { liveLine } from "../../bin/serve/live-line.ts";
import type { Pace } from "../../bin/serve/pace.ts";
import { memoryExport } from "../../src/export/memory.ts";

const tests = suite("the live line");

const MIB = 1 << 20;
const pace: Pace = { bytesPerSecond: 112.34 * MIB, requestsPerSecond: 450, latency: 0.416 };
const idle: Pace = { bytesPerSecond: 0, requestsPerSecond: 0, latency: undefined };

/** A course at a state, of which a quarter was read. */
async function courseAt(state: Course["state"], isWritable = false): Promise<Course> {
  const target = memoryExport(new Uint8Array(4 * MIB));
  const course = new Course({ size: target.size, isWritable, retry: 300 });
  await course.counts.over(target).read(0, MIB);
  if (state === "connecting") return course;
  course.serving();
  if (state === "lost") course.lost();
  if (state === "ejecting") course.ejecting();
  return course;
}

const textOf = (course: Course, columns: number, at = pace) => {
  const { head, tail } = liveLine(course, at, columns);
  return head + tail;
};

tests("80 columns have all of it, 40 the most of it", async () => {
  const course = await courseAt("serving");
  const wide = textOf(course, 80);
  assert.is(wide.replace(/ +/g, " "), "serving 112.3 MiB/s 0.42 ms 1.0 MiB of 4.0 MiB read 0 in flight");
  assert.is(textOf(course, 40).replace(/ +/g, " "), "serving 112.3 MiB/s 0.42 ms 25 %");
  assert.is(textOf(course, 8), "serving");
  const writable = await courseAt("serving", true);
  assert.match(textOf(writable, 110), /1\.0 MiB of 4\.0 MiB read +0 B written +0 in flight$/);
});

tests("80 columns have all of it for the longest figures too", () => {
  const course = new Course({ size: 1023.9 * MIB, isWritable: false, retry: 300 });
  course.serving();
  assert.match(textOf(course, 80, { ...pace, bytesPerSecond: 1023.9 * MIB }), / in flight$/);
});

tests("it is shorter than the width in every state, whatever the figures are", async () => {
  const courses = await Promise.all([
    ...(["connecting", "serving", "lost", "ejecting"] as const).map((state) => courseAt(state)),
    courseAt("serving", true),
  ]);
  const figure = fc.double({ min: 0, max: 2 ** 60, noNaN: true });
  fc.assert(
    fc.property(
      fc.constantFrom(...courses),
      fc.record({
        bytesPerSecond: figure,
        requestsPerSecond: figure,
        latency: fc.option(figure, { nil: undefined }),
      }),
      fc.integer({ min: 1, max: 200 }),
      (course, pace, columns) => textOf(course, columns, pace).length < columns,
    ),
  );
});

tests("no figure moves another one", async () => {
  const course = await courseAt("serving");
  for (const columns of [40, 60, 80, 120]) {
    const before = textOf(course, columns);
    for (const bytesPerSecond of [0, 1, 1023, 1023.9 * MIB, 999 * 1024 * MIB]) {
      for (const latency of [undefined, 0.001, 9.999, 123, 9999, 59_000]) {
        const after = textOf(course, columns, { ...idle, bytesPerSecond, latency });
        assert.is(after.length, before.length, after);
      }
    }
  }
});

tests("what is not well is said, and has another colour", async () => {
  const course = await courseAt("serving");
  assert.is(liveLine(course, pace, 80).tone, "good");
  const broken = course.counts.over({
    size: 512,
    read: () => Promise.reject(new Error("a bad sector")),
    close: async () => {},
  });
  await broken.read(0, 512).catch(() => {});
  assert.equal((({ head, tone }) => ({ head, tone }))(liveLine(course, pace, 80)), {
    head: "serving, 1 failed",
    tone: "bad",
  });
  const lost = liveLine(await courseAt("lost"), pace, 80);
  assert.match(lost.head, /^link lost, trying until \d\d:\d\d$/);
  assert.is(lost.tone, "bad");
  assert.match(lost.tail, /^ +1\.0 MiB of 4\.0 MiB read$/);
  assert.is(textOf(await courseAt("ejecting"), 40), "ejecting…, Ctrl-C again to end at once");
  assert.is(textOf(await courseAt("connecting"), 80), "connecting");
});

tests.run();
