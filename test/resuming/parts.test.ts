/** The small parts of coming back: when an end is final, how long to wait, what wakes up. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ProtocolError } from "../../src/nbd/error.ts";
import { Backoff } from "../../src/resuming/backoff.ts";
import { computerClock } from "../../src/resuming/clock.ts";
import { isFinal, isLostWith } from "../../src/resuming/is-final.ts";
import { pause } from "../../src/resuming/pause.ts";
import { onWake } from "../../src/resuming/wakes.ts";
import { UnexpectedEndError } from "../../src/streams/parse.ts";
import { WebSocketError } from "../../src/transport/websocket.ts";
import { isPending } from "../bytes.ts";
import { simulatedClock } from "./clock.ts";

const tests = suite("the parts of coming back");

tests("close codes", () => {
  const lost = [undefined, 1001, 1006, 1011, 1012, 1013, 1014, 4004];
  for (const code of lost) assert.ok(isLostWith(code), String(code));
  for (const code of [1000, 1002, 1003, 1005, 1007, 1008, 1009, 1010, 3000, 4000, 4001, 4002, 4003, 4999]) {
    assert.not.ok(isLostWith(code), String(code));
    assert.ok(isFinal(new WebSocketError("closed", { code })), String(code));
  }
  for (const code of [1011, 4004])
    assert.not.ok(isFinal(new WebSocketError("closed", { code })), String(code));
});

tests("statuses and errors", () => {
  const answered = (status: number) => isFinal(Object.assign(new WebSocketError("answered"), { status }));
  for (const status of [400, 403, 404, 426]) assert.ok(answered(status), String(status));
  for (const status of [200, 302, 401, 408, 425, 429, 500, 502, 503])
    assert.not.ok(answered(status), String(status));
  for (const error of [new WebSocketError("failed"), new UnexpectedEndError("cut")])
    assert.not.ok(isFinal(error));
  for (const error of [new ProtocolError("rubbish"), new TypeError("a fault"), undefined, "words"]) {
    assert.ok(isFinal(error));
  }
});

tests(
  "each wait is from 0.2 s to twice as much as the one before, at most 10 s; a link that was used begins anew",
  () => {
    for (const random of [0, 0.5, 1]) {
      const backoff = new Backoff(() => random);
      const waits = Array.from({ length: 9 }, () => backoff.next());
      assert.equal(
        waits,
        [400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000, 10_000].map(
          (most) => 200 + random * (most - 200),
        ),
      );
      backoff.succeeded();
      assert.is(backoff.next(), 200 + random * 200);
    }
  },
);

tests("the shortest and the longest wait can be others", () => {
  const backoff = new Backoff(() => 1, { least: 1000, most: 3000 });
  assert.equal([backoff.next(), backoff.next(), backoff.next()], [2000, 3000, 3000]);
  backoff.succeeded();
  assert.is(backoff.next(), 2000);
});

tests("a pause lasts as long as it should, or until the signal", async () => {
  const { clock, time } = simulatedClock();
  const ending = new AbortController();
  const never = () => () => {};
  await time.run(pause(5300, { clock, onWake: never, signal: ending.signal }));
  assert.is(clock.now(), 5300);
  const waiting = pause(5000, { clock, onWake: never, signal: ending.signal });
  assert.ok(await isPending(waiting));
  ending.abort();
  await waiting;
  await pause(5000, { clock, onWake: never, signal: ending.signal });
});

tests("a pause ends when somebody wakes it", async () => {
  const { clock } = simulatedClock();
  let wake = () => {};
  const onWake = (callback: () => void) => {
    wake = callback;
    return () => {};
  };
  const waiting = pause(5000, { clock, onWake, signal: new AbortController().signal });
  assert.ok(await isPending(waiting));
  wake();
  await waiting;
});

tests("a pause ends when the clock has jumped", async () => {
  let now = 0;
  let look = () => {};
  const clock = {
    now: () => now,
    after(_milliseconds: number, callback: () => void) {
      look = callback;
      return () => {};
    },
    random: () => 0,
  };
  const waiting = pause(10_000, { clock, onWake: () => () => {}, signal: new AbortController().signal });
  now = 1000;
  look();
  assert.ok(await isPending(waiting));
  now = 4500;
  look();
  await waiting;
});

tests("the computer's clock counts the time for which it sleeps, and never goes back", () => {
  const [realNow, realDate] = [performance.now, Date.now];
  let [steady, wall] = [1000, 50_000];
  performance.now = () => steady;
  Date.now = () => wall;
  try {
    const clock = computerClock();
    assert.is(clock.now(), 1000);
    [steady, wall] = [1010, 60_010];
    assert.is(clock.now(), 11_010, "asleep for 10 s");
    [steady, wall] = [1020, 20];
    assert.is(clock.now(), 11_020, "set back");
    for (let i = 0; i < 1000; i++) {
      steady += 0.1;
      wall += 1;
      clock.now();
    }
    assert.ok(Math.abs(clock.now() - 11_120) < 1, "small steps do not add up");
  } finally {
    performance.now = realNow;
    Date.now = realDate;
  }
});

tests("a page wakes up when it is back on the network, shown again, or thawed", () => {
  const page = new EventTarget();
  const document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  Object.assign(globalThis, { window: page, document });
  try {
    let count = 0;
    const end = onWake(() => count++);
    page.dispatchEvent(new Event("online"));
    page.dispatchEvent(new Event("pageshow"));
    document.dispatchEvent(new Event("visibilitychange"));
    assert.is(count, 3);
    document.visibilityState = "hidden";
    document.dispatchEvent(new Event("visibilitychange"));
    assert.is(count, 3, "it is hidden now");
    document.visibilityState = "visible";
    end();
    page.dispatchEvent(new Event("online"));
    assert.is(count, 3);
  } finally {
    Reflect.deleteProperty(globalThis, "window");
    Reflect.deleteProperty(globalThis, "document");
  }
});

tests.run();
