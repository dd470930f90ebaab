/** Traces: what real programs read, one after the other, as `fixtures/traces` has them. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Export, Filter } from "../src/export/export.ts";
import { root } from "./harness.ts";

/** The traces in the fixtures, and how many bytes the image has that each is of. */
export const TRACES = {
  "boot-ide-cd": 18_778_112,
  "boot-scsi-cd": 18_778_112,
  "boot-virtio-disk": 18_778_112,
  "boot-installer-ide-cd": 58_533_888,
} as const;

export type TraceName = keyof typeof TRACES;

export interface TracedRead {
  /** Bytes. */
  offset: number;
  length: number;
  /** Milliseconds since the answer to the read before. */
  pause: number;
}

export const traceFile = (name: string) => join(root, "fixtures/traces", `${name}.trace`);

/** Reads one of the fixtures. */
export function readTrace(name: TraceName): TracedRead[] {
  return parseTrace(readFileSync(traceFile(name), "utf8"));
}

/** A line is one read, or `count` of the same length, each from where the one before ended. */
export function parseTrace(text: string): TracedRead[] {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return lines.flatMap((line) => {
    const [offset, length, pause, count = 1] = line.split(" ").map(Number);
    return Array.from({ length: count }, (_, index) => ({
      offset: offset! + index * length!,
      length: length!,
      pause: pause! / 1000,
    }));
  });
}

/** A pause that is longer than this, in milliseconds, has a line of its own. */
const LONG = 2;

/** The lines of a trace. Neighbours with short pauses share one, which has the mean of these. */
export function formatTrace(reads: readonly TracedRead[]): string {
  const runs: (TracedRead & { count: number })[] = [];
  for (const read of reads) {
    const run = runs.at(-1);
    const goesOn = run && read.length === run.length && read.offset === run.offset + run.count * run.length;
    if (goesOn && run.pause < LONG && read.pause < LONG) {
      run.pause += (read.pause - run.pause) / ++run.count;
    } else runs.push({ ...read, count: 1 });
  }
  const line = ({ offset, length, pause, count }: (typeof runs)[number]) =>
    `${offset} ${length} ${Math.round(pause * 1000)}${count > 1 ? ` ${count}` : ""}\n`;
  return runs.map(line).join("");
}

/** Takes note of the reads of one who reads one after the other. */
export function traced(reads: TracedRead[]): Filter {
  return (next: Export) => {
    let answeredAt: number | undefined;
    return {
      ...next,
      async read(offset, length, options) {
        const pause = answeredAt === undefined ? 0 : Math.max(0, performance.now() - answeredAt);
        reads.push({ offset, length, pause });
        const payload = await next.read(offset, length, options);
        answeredAt = performance.now();
        return payload;
      },
    };
  };
}
