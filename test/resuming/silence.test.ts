import { suite } from "uvu";
import * as assert from "uvu/assert";
import { watchSilence } from "../../src/resuming/silence.ts";
import { simulatedClock } from "./clock.ts";

const tests = suite("a link on which nothing comes");

function setUp(limit: () => number | undefined = () => 15_000) {
  const { clock, time } = simulatedClock();
  const socket = Object.assign(new EventTarget(), { bufferedAmount: 0 });
  const silentAt: number[] = [];
  let wake = () => {};
  let isWatched = true;
  const unwatch = watchSilence(socket, {
    clock,
    limit,
    onSilent: () => silentAt.push(clock.now()),
    onWake(callback) {
      wake = callback;
      return () => {
        isWatched = false;
      };
    },
  });
  const hear = () => socket.dispatchEvent(new Event("message"));
  return { clock, time, socket, silentAt, unwatch, hear, wake: () => wake(), isWatched: () => isWatched };
}

tests("it is told once, after the limit", async () => {
  const { time, silentAt, isWatched } = setUp();
  await time.run(time.sleep(14_500));
  assert.equal(silentAt, []);
  await time.run(time.sleep(100_000));
  assert.equal(silentAt, [15_000]);
  assert.not(isWatched());
});

tests("not while something comes now and then, or while what is sent goes out", async () => {
  for (const way of ["hear", "send"]) {
    const { time, silentAt, hear, socket } = setUp();
    for (let i = 0; i < 10; i++) {
      await time.run(time.sleep(14_000));
      if (way === "hear") hear();
      else socket.bufferedAmount = 1000 - i;
    }
    assert.equal(silentAt, [], way);
    await time.run(time.sleep(20_000));
    assert.is(silentAt.length, 1);
  }
});

tests("what waits to be sent and does not go out is no sign of life", async () => {
  const { time, silentAt, socket } = setUp();
  socket.bufferedAmount = 1000;
  await time.run(time.sleep(20_000));
  assert.is(silentAt.length, 1);
});

for (const isHeard of [true, false]) {
  tests(
    `after a sleep it is judged once what came meanwhile was read: ${isHeard ? "something" : "nothing"}`,
    async () => {
      let now = 0;
      let look = () => {};
      let isSilent = false;
      const socket = Object.assign(new EventTarget(), { bufferedAmount: 0 });
      const unwatch = watchSilence(socket, {
        clock: {
          now: () => now,
          after(_milliseconds, callback) {
            look = callback;
            return () => {};
          },
          random: () => 0,
        },
        limit: () => 15_000,
        onWake: () => () => {},
        onSilent() {
          isSilent = true;
        },
      });
      now = 60_000;
      look();
      assert.not(isSilent, "timers run before what came is read");
      if (isHeard) socket.dispatchEvent(new Event("message"));
      await new Promise((resolve) => setTimeout(resolve));
      await new Promise((resolve) => setImmediate(resolve));
      assert.is(isSilent, !isHeard);
      unwatch();
    },
  );
}

tests("the limit may change, and may be none", async () => {
  let limit: number | undefined;
  const { time, silentAt } = setUp(() => limit);
  await time.run(time.sleep(1_000_000));
  assert.equal(silentAt, []);
  limit = 15_000;
  await time.run(time.sleep(2000));
  assert.is(silentAt.length, 1);
});

tests("ended, it never tells", async () => {
  const { time, silentAt, unwatch, isWatched } = setUp();
  unwatch();
  await time.run(time.sleep(100_000));
  assert.equal(silentAt, []);
  assert.not(isWatched());
});

tests.run();
