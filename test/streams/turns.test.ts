import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Turns } from "../../src/streams/turns.ts";

const tests = suite("turns");

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A loop without end, and how far it has come. */
function loop(state: { isOver: boolean }, items = 1) {
  const turns = new Turns();
  const progress = { done: 0, ended: Promise.resolve() };
  progress.ended = (async () => {
    while (!state.isOver) {
      if (turns.isOver(items)) await turns.next;
      progress.done++;
    }
  })();
  return progress;
}

tests("all loops together have about a thousand items in a turn, each of them some", async () => {
  // A turn also ends after some milliseconds, which on a busy machine may be sooner.
  const { now } = performance;
  performance.now = () => 0;
  try {
    await shareTurns();
  } finally {
    performance.now = now;
  }
});

async function shareTurns() {
  const state = { isOver: false };
  const loops = Array.from({ length: 8 }, () => loop(state));
  const sum = () => loops.reduce((total, { done }) => total + done, 0);
  await turn();
  for (let i = 0, before = sum(); i < 20; i++) {
    await turn();
    const now = sum();
    assert.ok(now - before <= 1024 + 64 * loops.length, `${now - before} items in a turn`);
    before = now;
  }
  const [least, most] = [Math.min, Math.max].map((of) => of(...loops.map(({ done }) => done)));
  assert.ok(least! > 0 && most! - least! <= 1024, `one had ${least}, another ${most}`);
  state.isOver = true;
  await Promise.all(loops.map(({ ended }) => ended));
}

tests("items that are much work are fewer in a turn", async () => {
  const state = { isOver: false };
  const laborious = loop(state, 64);
  await turn();
  const before = laborious.done;
  await turn();
  assert.ok(laborious.done - before <= 17, `${laborious.done - before} items`);
  state.isOver = true;
  await laborious.ended;
});

tests("few items wait for nobody, although others have used up the turn", async () => {
  const state = { isOver: false };
  const others = [loop(state), loop(state)];
  await turn();
  const turns = new Turns();
  for (let i = 0; i < 60; i++) assert.not.ok(turns.isOver());
  assert.is(turns.next, undefined);
  state.isOver = true;
  await Promise.all(others.map(({ ended }) => ended));
});

tests("a loop that is much slower than most has had its turn after some milliseconds", async () => {
  const turns = new Turns();
  let items = 0;
  while (!turns.isOver(64)) {
    items++;
    const end = performance.now() + 3;
    while (performance.now() < end);
  }
  assert.ok(items <= 3, `${items} items of 3 ms`);
  await turns.next;
});

tests("who asks again while it waits is told the same, and may go on then", async () => {
  const turns = new Turns();
  while (!turns.isOver());
  const { next } = turns;
  assert.ok(turns.isOver());
  assert.is(turns.next, next);
  await next;
  assert.is(turns.next, undefined);
  assert.not.ok(turns.isOver());
});

tests.run();
