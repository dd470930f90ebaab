import type { Writable } from "node:stream";
import type { OperationCounts } from "../../src/export/filters/statistics.ts";
import type { LogLevel } from "../../src/node/log/log.ts";
import type { Course, Ending } from "./course.ts";
import { PaceMeter } from "./pace.ts";
import { BACKLOG, taken, unblock } from "./unblocked.ts";
import type { Witness } from "./witness.ts";

/** The version of the events. It grows when something that was there goes, or means something else. */
export const EVENTS_VERSION = 1;

/** Milliseconds between two events of progress. */
const INTERVAL = 1000;

/** What is served, and to whom. */
export interface Served {
  /** As the arguments name it; a URL without secrets. */
  readonly image: string;
  /** The URL, without secrets. */
  readonly to: string;
  /** The version of nbd-serve. */
  readonly program: string;
}

/**
 * Writes the course for scripts, as one object of JSON a line; bin/serve-events.schema.json describes them. A reader who has
 * gone, or takes nothing, holds nothing up: what has no room is left out. Messages and progress are left out before states,
 * and the end never.
 */
export class Events implements Witness {
  readonly #stream: Writable;
  readonly #asLine: (words: string) => string;
  #course: Course | undefined;
  #meter: PaceMeter | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastProgress = "";

  /** @param asLine makes words fit for a line */
  constructor(stream: Writable, asLine: (words: string) => string, { image, to, program }: Served) {
    this.#stream = stream;
    this.#asLine = asLine;
    unblock(stream);
    stream.on("error", () => {});
    this.#write("started", { version: EVENTS_VERSION, program, image, to });
  }

  /** The image is open. */
  follow(course: Course): void {
    this.#course = course;
    this.#meter = new PaceMeter(course.counts, course.now);
    this.#lastProgress = JSON.stringify(this.#progress());
    this.#timer = setInterval(() => this.#tellProgress(), INTERVAL).unref();
  }

  line(words: string, level: LogLevel = "info"): void {
    if (this.#stream.writableLength > BACKLOG) return;
    this.#write("message", { level, message: this.#asLine(words) });
  }

  changed(): void {
    const { state, size, isWritable, patience = 0 } = this.#course!;
    // What a message has left, as a state is what scripts wait for.
    if (this.#stream.writableLength > 2 * BACKLOG) return;
    if (state === "serving") this.#write(state, { size, isWritable });
    else if (state === "lost") {
      this.#write(state, { until: new Date(Date.now() + patience).toISOString() });
    } else this.#write(state, {});
  }

  async ended(how: Ending, fault?: string): Promise<void> {
    clearInterval(this.#timer);
    const { uptime = 0, losses = 0 } = this.#course ?? {};
    const total = this.#course ? totals(this.#course) : { requests: {}, covered: { read: 0, written: 0 } };
    const message = fault === undefined ? null : this.#asLine(fault);
    this.#write("ended", { how, message, uptime: rounded(uptime / 1000), losses, ...total });
    await taken(this.#stream);
  }

  /** Only where something has changed. */
  #tellProgress(): void {
    if (this.#stream.writableLength > BACKLOG) return;
    const progress = this.#progress();
    const text = JSON.stringify(progress);
    if (text === this.#lastProgress) return;
    this.#lastProgress = text;
    this.#write("progress", progress);
  }

  #progress() {
    const { bytesPerSecond, requestsPerSecond, latency } = this.#meter!.look();
    return {
      bytesPerSecond: Math.round(bytesPerSecond),
      requestsPerSecond: rounded(requestsPerSecond),
      latency: latency === undefined ? null : rounded(latency / 1000),
      outstanding: this.#course!.outstanding,
      ...totals(this.#course!),
    };
  }

  #write(event: string, members: Readonly<Record<string, unknown>>): void {
    this.#stream.write(`${JSON.stringify({ event, at: new Date().toISOString(), ...members })}\n`);
  }
}

function totals({ counts }: Course) {
  const { operations, coverage } = counts.snapshot();
  const asked = Object.entries(operations).filter(([, { count, errors }]) => count + errors > 0);
  const short = ({ count, bytes, errors }: OperationCounts) => ({ count, bytes, errors });
  return {
    requests: Object.fromEntries(asked.map(([name, counts]) => [name, short(counts)])),
    covered: { read: coverage.read.bytesCovered, written: coverage.written.bytesCovered },
  };
}

/** To microseconds. */
const rounded = (seconds: number) => Math.round(seconds * 1e6) / 1e6;
