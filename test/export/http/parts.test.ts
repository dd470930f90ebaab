import { getEventListeners } from "node:events";
import * as assert from "uvu/assert";
import { Attempt } from "../../../src/export/http/attempt.ts";
import { parseContentRange, parseUnsatisfiedRange } from "../../../src/export/http/content-range.ts";
import { readBody } from "../../../src/export/http/read-body.ts";
import { Slots } from "../../../src/export/http/slots.ts";
import { giveBack } from "../../../src/streams/lent.ts";
import { failure, sequence, source } from "../../bytes.ts";
import { suite } from "../../harness.ts";
import { HastyClock } from "./hasty-clock.ts";

const tests = suite("parts of the http export");

tests("Content-Range: whole numbers that make sense together, or nothing", () => {
  assert.equal(parseContentRange("bytes 0-9/10"), { first: 0, last: 9, total: 10 });
  assert.equal(parseContentRange(" Bytes  5-5/9007199254740991 "), { first: 5, last: 5, total: 2 ** 53 - 1 });
  assert.equal(parseContentRange("bytes 5-5/*"), { first: 5, last: 5, total: undefined });
  for (const wrong of [
    null,
    "",
    "bytes",
    "bytes 0-9",
    "bytes 0-9/",
    "bytes 9-0/10",
    "bytes 0-10/10",
    "bytes -1-9/10",
    "bytes 0-9/9007199254740992",
    "bytes 0-9/99999999999999999",
    "bytes 0-9007199254740992/*",
    "bytes 0x0-9/10",
    "bytes */10",
    "bytes 0-9/10, bytes 0-9/10",
    "items 0-9/10",
  ]) {
    assert.is(parseContentRange(wrong), undefined, String(wrong));
  }
  assert.is(parseUnsatisfiedRange("bytes */10"), 10);
  for (const wrong of [null, "bytes */*", "bytes 0-1/10", "bytes */9007199254740992"]) {
    assert.is(parseUnsatisfiedRange(wrong), undefined, String(wrong));
  }
});

tests("an attempt and a place leave nothing at the signal of their user", async () => {
  const { signal } = new AbortController();
  const attempt = new Attempt(signal, 20_000, new HastyClock());
  assert.is(getEventListeners(signal, "abort").length, 1);
  attempt.end(true);
  assert.is(attempt.signal.aborted, false, "what was read to its end is not ended again");
  const slots = new Slots(1);
  await slots.enter(signal);
  const next = slots.enter(signal);
  assert.is(getEventListeners(signal, "abort").length, 1);
  slots.leave();
  await next;
  assert.is(getEventListeners(signal, "abort").length, 0);
});

tests("memory of a long body that failed is used again", async () => {
  const length = 300_001;
  const chunks = [sequence(200_000), sequence(100_001, 200_000)];
  const whole = await readBody(source(chunks), length, () => {});
  const { buffer } = whole;
  assert.equal(whole, sequence(length));
  giveBack(whole);
  await failure(readBody(source(chunks.slice(1)), length, () => {}));
  const again = await readBody(source(chunks), length, () => {});
  assert.is(again.buffer, buffer);
});

tests.run();
