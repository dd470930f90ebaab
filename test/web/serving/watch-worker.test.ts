import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WorkerWatch } from "../../../web/serving/watch-worker.ts";
import { simulatedClock } from "../../resuming/clock.ts";

const tests = suite("watching a Worker");

function setUp() {
  const { clock, time } = simulatedClock();
  const happened = { asked: 0, deaths: 0 };
  const watch: WorkerWatch = new WorkerWatch({
    clock,
    ask: () => void happened.asked++,
    onDead: () => void happened.deaths++,
  });
  return { watch, happened, wait: (seconds: number) => time.run(time.sleep(1000 * seconds)) };
}

tests("one that reports is not asked", async () => {
  const { watch, happened, wait } = setUp();
  for (let i = 0; i < 100; i++) {
    watch.heard();
    await wait(1);
  }
  assert.equal(happened, { asked: 0, deaths: 0 });
  watch.end();
});

tests("one that answers when it is asked goes on", async () => {
  const { watch, happened, wait } = setUp();
  for (let i = 0; i < 100; i++) {
    await wait(1);
    if (happened.asked > i / 20) watch.heard();
  }
  assert.ok(happened.asked > 0);
  assert.is(happened.deaths, 0);
  watch.end();
});

tests("one that does not answer three times is dead, once", async () => {
  const { happened, wait } = setUp();
  await wait(24);
  assert.equal(happened, { asked: 3, deaths: 0 });
  await wait(100);
  assert.equal(happened, { asked: 3, deaths: 1 });
});

tests("after its end it says nothing any more", async () => {
  const { watch, happened, wait } = setUp();
  watch.end();
  await wait(100);
  assert.equal(happened, { asked: 0, deaths: 0 });
});

tests.run();
