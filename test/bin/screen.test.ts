/** A line at the bottom of a terminal, as a person sees it. */
import { Writable } from "node:stream";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Screen, type TerminalStream } from "../../bin/serve/screen.ts";
import { ShownScreen } from "../shown-screen.ts";

const tests = suite<{ shown: ShownScreen; stream: StandIn; screen: Screen }>("a line that changes in place");

/** A terminal that shows what is written to it, or takes nothing. */
class StandIn extends Writable implements TerminalStream {
  columns = 80;
  /** How often something was written to it. */
  writes = 0;
  isStopped = false;
  readonly #shown: ShownScreen;

  constructor(shown: ShownScreen) {
    super({ decodeStrings: false });
    this.#shown = shown;
  }

  override _write(text: string, _encoding: string, done: () => void): void {
    this._writev([{ chunk: text }], done);
  }

  override _writev(chunks: { chunk: string }[], done: () => void): void {
    this.writes++;
    // As a terminal's driver does it.
    this.#shown.write(chunks.map(({ chunk }) => chunk.replaceAll("\n", "\r\n")).join(""));
    if (!this.isStopped) done();
  }

  hasColors(): boolean {
    return false;
  }
}

tests.before.each((context) => {
  context.shown = new ShownScreen(80);
  context.stream = new StandIn(context.shown);
  context.screen = new Screen(context.stream);
});
tests.after.each(({ shown }) => shown.end());

tests("lines stand above it and stay, it is gone at the end", async ({ shown, screen }) => {
  screen.print("first");
  screen.draw("the line is here");
  screen.draw("the line");
  screen.print("second, which is longer than the line");
  screen.print("x".repeat(200));
  assert.equal(await shown.rows(), [
    "first",
    "second, which is longer than the line",
    "x".repeat(80),
    "x".repeat(80),
    "x".repeat(40),
    "the line",
  ]);
  assert.equal(await shown.cursor(), { row: 5, column: 0 });
  screen.print("last");
  await screen.end();
  assert.equal((await shown.rows()).slice(-2), ["x".repeat(40), "last"]);
  assert.equal(await shown.cursor(), { row: 6, column: 0 });
});

tests("it is one line while the window becomes narrower and wider", async ({ shown, stream, screen }) => {
  screen.print("above");
  for (const columns of [80, 40, 79, 20, 120, 30, 80]) {
    shown.resize(columns);
    stream.columns = columns;
    screen.draw("-".repeat(screen.columns - 1));
    assert.equal(await shown.rows(), ["above", "-".repeat(columns - 1)], `${columns} columns`);
  }
});

tests("nothing is written when nothing changes, and each change at once", ({ stream, screen }) => {
  for (let i = 0; i < 10; i++) screen.draw("the same");
  assert.is(stream.writes, 1);
  screen.draw("another");
  assert.is(stream.writes, 2);
  screen.print("a line");
  assert.is(stream.writes, 3);
});

tests("a terminal that takes nothing holds nothing up, and memory is bounded", async ({ stream, screen }) => {
  stream.isStopped = true;
  screen.draw("the first");
  for (let i = 0; i < 1000; i++) screen.draw(`number ${i}`);
  for (let i = 0; i < 1000; i++) screen.print("a line that nobody reads".repeat(10));
  assert.ok(stream.writableLength < 70_000, `${stream.writableLength} bytes`);
  await screen.end();
});

tests("a terminal that does not tell its width has one", ({ stream, screen }) => {
  stream.columns = 0;
  assert.is(screen.columns, 80);
});

tests.run();
