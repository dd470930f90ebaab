/** Pauses between attempts. */
import * as assert from "uvu/assert";
import { Backoff } from "../../../../web/slots/feed/backoff.ts";
import { suite, within } from "../../../harness.ts";

interface Context {
  /** The milliseconds of each timer that was set. */
  pauses: number[];
  setTimeout: typeof setTimeout;
}

const tests = suite<Context>("pauses between attempts");

tests.before.each((context) => {
  context.pauses = [];
  context.setTimeout = globalThis.setTimeout;
  globalThis.setTimeout = ((use: () => void, milliseconds: number) => {
    context.pauses.push(milliseconds);
    return context.setTimeout(use, 0);
  }) as typeof setTimeout;
});
tests.after.each((context) => {
  globalThis.setTimeout = context.setTimeout;
});

const { signal } = new AbortController();

tests("they double up to the longest, and are a quarter more or less than that", async ({ pauses }) => {
  const backoff = new Backoff({ first: 1000, longest: 30_000 });
  for (let i = 0; i < 8; i++) await backoff.pause(signal);
  const middles = [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000];
  middles.forEach((middle, i) => {
    assert.ok(pauses[i]! >= 0.75 * middle && pauses[i]! <= 1.25 * middle, `pause ${i}: ${pauses[i]}`);
  });
  assert.ok(new Set(pauses).size > 1);
});

tests("after a success, and after a wake, they are short again", async ({ pauses }) => {
  const backoff = new Backoff({ first: 1000, longest: 30_000 });
  for (let i = 0; i < 4; i++) await backoff.pause(signal);
  backoff.reset();
  await backoff.pause(signal);
  assert.ok(pauses.at(-1)! <= 1250);
  await backoff.pause(signal);
  backoff.wake();
  await backoff.pause(signal);
  assert.ok(pauses.at(-1)! <= 1250);
});

tests("a wake and an abort end a pause", async (context) => {
  globalThis.setTimeout = context.setTimeout;
  const backoff = new Backoff({ first: 3_600_000, longest: 3_600_000 });
  const woken = backoff.pause(signal);
  backoff.wake();
  await within(5000, "the end of the pause", woken);
  const leaving = new AbortController();
  const aborted = backoff.pause(leaving.signal);
  leaving.abort();
  await within(5000, "the end of the second", aborted);
  await within(5000, "a pause after the abort", backoff.pause(leaving.signal));
});

tests.run();
