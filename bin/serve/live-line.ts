import { Units } from "../../web/media/units.ts";
import type { Course } from "./course.ts";
import type { Pace } from "./pace.ts";

/** The line that a terminal shows: a word on how it is, which may have a colour, and the rest. */
export interface LiveLine {
  readonly head: string;
  readonly tone: "good" | "bad" | "neutral";
  readonly tail: string;
}

/** What nbd-serve says when Ctrl-C has come. */
export const EJECTING = "ejecting…, Ctrl-C again to end at once";

const GAP = "  ";

const units = new Units("en");

/**
 * What is served, in one line of less than `columns` characters: the fewer there are, the less it says. Each figure has room
 * for its longest form, so that none moves when another one changes.
 */
export function liveLine(course: Course, pace: Pace, columns: number): LiveLine {
  const { head, tone } = headOf(course);
  const room = Math.max(0, columns - 1 - head.length);
  const tail = tailsOf(course, pace)
    .map((parts) => parts.map((part) => GAP + part).join(""))
    .find((text) => text.length <= room);
  return { head: head.slice(0, Math.max(0, columns - 1)), tone, tail: tail ?? "" };
}

function headOf(course: Course): Pick<LiveLine, "head" | "tone"> {
  switch (course.state) {
    case "connecting":
      return { head: "connecting", tone: "neutral" };
    case "ejecting":
      return { head: EJECTING, tone: "neutral" };
    case "lost":
      return {
        head: `link lost, trying until ${units.minute(Date.now() + (course.patience ?? 0))}`,
        tone: "bad",
      };
    case "serving": {
      const { failed } = course;
      return failed > 0
        ? { head: `serving, ${failed} failed`, tone: "bad" }
        : { head: "serving", tone: "good" };
    }
  }
}

/** The figures beside the state, the most of them first. */
function tailsOf(course: Course, pace: Pace): string[][] {
  const { coverage } = course.counts.snapshot();
  const part = (bytes: number) => units.bytes(bytes).padStart(11);
  const read = `${part(coverage.read.bytesCovered)} of ${units.bytes(course.size)} read`;
  const percent = `${Math.floor(100 * coverage.read.fraction)} %`.padStart(5);
  if (course.state === "lost") return [[read], [percent], []];
  if (course.state !== "serving") return [[]];
  const rate = `${units.bytes(Math.round(pace.bytesPerSecond))}/s`.padStart(13);
  const latency = milliseconds(pace.latency).padStart(7);
  const inFlight = `${course.outstanding} in flight`.padStart(13);
  const written = `${part(coverage.written.bytesCovered)} written`;
  return [
    ...(course.isWritable ? [[rate, latency, read, written, inFlight]] : []),
    [rate, latency, read, inFlight],
    [rate, latency, percent, inFlight],
    [rate, latency, percent],
    [rate, percent],
    [rate],
    [],
  ];
}

function milliseconds(time: number | undefined): string {
  if (time === undefined) return "- ms";
  if (time >= 9999.5) return `${(time / 1000).toFixed(1)} s`;
  const digits = time < 9.995 ? 2 : time < 99.95 ? 1 : 0;
  return `${time.toFixed(digits)} ms`;
}
