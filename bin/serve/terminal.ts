import type { LogLevel } from "../../src/node/log/log.ts";
import type { Course, Ending } from "./course.ts";
import { isInForeground } from "./foreground.ts";
import { type LiveLine, liveLine } from "./live-line.ts";
import { type Pace, PaceMeter } from "./pace.ts";
import { Screen, type TerminalStream } from "./screen.ts";
import type { Witness } from "./witness.ts";

/** Milliseconds between two looks at the figures. */
const INTERVAL = 500;

const COLOURS = { good: 32, bad: 33, neutral: undefined } as const;

/** Shows the course in one line of a terminal, which changes in place; lines stand above it. */
export class Terminal implements Witness {
  readonly #course: Course;
  readonly #asLine: (words: string) => string;
  readonly #screen: Screen;
  readonly #stream: TerminalStream;
  readonly #meter: PaceMeter;
  readonly #timer: NodeJS.Timeout;
  #pace: Pace;

  /** @param asLine makes a line that stands above of words */
  constructor(stream: TerminalStream, course: Course, asLine: (words: string) => string) {
    this.#course = course;
    this.#asLine = asLine;
    this.#stream = stream;
    this.#screen = new Screen(stream);
    this.#meter = new PaceMeter(course.counts, course.now);
    this.#pace = this.#meter.look();
    this.#timer = setInterval(this.#look, INTERVAL).unref();
    stream.on("resize", this.#draw);
    process.on("SIGCONT", this.#again);
    this.#draw();
  }

  line(words: string, _level?: LogLevel): void {
    this.#screen.print(this.#asLine(words));
  }

  changed(): void {
    this.#draw();
  }

  async ended(how: Ending): Promise<void> {
    this.leave();
    const summary = this.#course.summary(how);
    if (summary !== undefined) this.line(summary);
    await this.#screen.end();
  }

  /** Takes the line away, at once. */
  leave(): void {
    clearInterval(this.#timer);
    this.#stream.off("resize", this.#draw);
    process.off("SIGCONT", this.#again);
    this.#screen.clear();
  }

  readonly #look = () => {
    this.#pace = this.#meter.look();
    this.#draw();
  };

  readonly #draw = () => {
    // A shell that has its prompt there would have the line in the middle of it.
    if (isInForeground())
      this.#screen.draw(this.#painted(liveLine(this.#course, this.#pace, this.#screen.columns)));
  };

  readonly #again = () => {
    this.#screen.forget();
    this.#draw();
  };

  #painted({ head, tone, tail }: LiveLine): string {
    const colour = this.#stream.hasColors() ? COLOURS[tone] : undefined;
    return colour === undefined ? head + tail : `\x1b[${colour}m${head}\x1b[39m${tail}`;
  }
}
