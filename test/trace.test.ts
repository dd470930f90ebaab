import * as assert from "uvu/assert";
import { memoryExport } from "../src/export/memory.ts";
import { sequence } from "./bytes.ts";
import { suite } from "./harness.ts";
import { formatTrace, parseTrace, type TracedRead, traced } from "./trace.ts";

const tests = suite("traces");

tests("neighbours share a line, with the mean of their pauses", () => {
  const reads: TracedRead[] = [
    { offset: 0, length: 512, pause: 0 },
    { offset: 512, length: 512, pause: 1 },
    { offset: 1024, length: 512, pause: 0.5 },
    { offset: 1536, length: 512, pause: 30 },
    { offset: 2048, length: 1024, pause: 0 },
    { offset: 8192, length: 1024, pause: 0 },
  ];
  const text = "0 512 500 3\n1536 512 30000\n2048 1024 0\n8192 1024 0\n";
  assert.is(formatTrace(reads), text);
  const parsed = parseTrace(`# a comment\n${text}`);
  assert.equal(
    parsed,
    reads.map((read, index) => (index < 3 ? { ...read, pause: 0.5 } : read)),
  );
});

tests("each read is noted, and passed on", async () => {
  const reads: TracedRead[] = [];
  const target = traced(reads)(memoryExport(sequence(1000)));
  assert.equal(await target.read(10, 20), sequence(20, 10));
  await target.read(100, 1);
  assert.equal(
    reads.map(({ offset, length }) => [offset, length]),
    [
      [10, 20],
      [100, 1],
    ],
  );
});

tests.run();
