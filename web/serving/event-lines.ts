import type { Level, LogLine } from "./report.ts";

/** Lines that are kept until they are taken, at most. */
const MOST = 100;

/** Lines of the event log that were not told yet. When there are too many, the oldest ones are left out, and that is said. */
export class EventLines {
  #lines: LogLine[] = [];
  #leftOut = 0;

  add(at: number, level: Level, text: string): void {
    this.#lines.push({ at, level, text });
    if (this.#lines.length <= MOST) return;
    this.#lines.shift();
    this.#leftOut++;
  }

  take(): LogLine[] {
    const [lines, leftOut] = [this.#lines, this.#leftOut];
    this.#lines = [];
    this.#leftOut = 0;
    if (leftOut === 0) return lines;
    return [{ at: lines[0]!.at, level: "warning", text: `${leftOut} earlier lines were left out` }, ...lines];
  }
}
