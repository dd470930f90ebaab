import { clearScreenDown, cursorTo } from "node:readline";
import type { Writable } from "node:stream";
import type { WriteStream } from "node:tty";
import { BACKLOG, taken, unblock } from "./unblocked.ts";

/** What is needed of a stream to a terminal. It emits "resize". */
export type TerminalStream = Writable & Pick<WriteStream, "columns" | "hasColors">;

/**
 * One line at the bottom of a terminal that changes in place; what is printed stands above it, and stays.
 *
 * The cursor rests at the beginning of the line. So all of the line, and nothing else, comes after the cursor even when the
 * window has become narrower, whether this terminal then wraps a line once more or cuts it off.
 */
export class Screen {
  readonly #stream: TerminalStream;
  /** What is shown; "" if nothing. */
  #line = "";

  constructor(stream: TerminalStream) {
    this.#stream = stream;
    unblock(stream);
  }

  /** The width, in characters. */
  get columns(): number {
    // A terminal that was not told its size says 0.
    return this.#stream.columns || 80;
  }

  /** Shows a line, which is shorter than the width. It is left out while the terminal takes nothing. */
  draw(line: string): void {
    if (line === this.#line || this.#stream.writableLength > 0) return;
    this.#line = line;
    this.#together(() => this.#put());
  }

  /** Forgets what is shown: the next line is drawn whatever it is, as after something else has written to the terminal. */
  forget(): void {
    this.#line = "";
  }

  /** Puts a line above, which may be longer than the width. It is left out where a terminal has not taken many others. */
  print(line: string): void {
    if (this.#stream.writableLength > BACKLOG) return;
    this.#together(() => {
      if (this.#line !== "") this.#clear();
      this.#stream.write(`${line}\n`);
      if (this.#line !== "") this.#put();
    });
  }

  /** Takes the line away. */
  clear(): void {
    if (this.#line === "") return;
    this.#line = "";
    this.#together(() => this.#clear());
  }

  /** Takes the line away, and waits until the terminal has all of it, for half a second at most. */
  async end(): Promise<void> {
    this.clear();
    await taken(this.#stream);
  }

  /** Writes as one, so that nothing half done is seen. */
  #together(write: () => void): void {
    this.#stream.cork();
    write();
    this.#stream.uncork();
  }

  /** Overwrites what was there, which does not flicker as clearing it at first would. */
  #put(): void {
    cursorTo(this.#stream, 0);
    this.#stream.write(this.#line);
    clearScreenDown(this.#stream);
    cursorTo(this.#stream, 0);
  }

  #clear(): void {
    cursorTo(this.#stream, 0);
    clearScreenDown(this.#stream);
  }
}
