/** Ctrl-C, once and again. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { onNextInterrupt } from "../../bin/serve/interrupt.ts";

const tests = suite("Ctrl-C");

tests("the next one counts, but not what npx passes on of the first", () => {
  const ending = new AbortController();
  let time = 1000;
  let ends = 0;
  process.on("SIGINT", () => ending.abort());
  onNextInterrupt(
    ending.signal,
    () => {
      ends++;
    },
    () => time,
  );
  const press = () => process.emit("SIGINT");
  try {
    press();
    assert.ok(ending.signal.aborted);
    time += 30;
    press();
    assert.is(ends, 0);
    time += 300;
    press();
    assert.is(ends, 1);
  } finally {
    process.removeAllListeners("SIGINT");
  }
});

tests.run();
