import { suite } from "uvu";
import * as assert from "uvu/assert";
import { KnownData } from "../../src/node/known-data.ts";

const tests = suite("known data");

/** Of 0 to `end`, which bytes are known to be data. */
const told = (known: KnownData, end: number) =>
  Array.from({ length: end }, (_, at) => (known.covers(at, at + 1) ? "d" : ".")).join("");

tests("what touches is one range, what is taken out is known no more", () => {
  const known = new KnownData();
  assert.is(told(known, 4), "....");
  known.add(2, 4);
  known.add(6, 8);
  assert.is(told(known, 10), "..dd..dd..");
  assert.not.ok(known.covers(2, 8));
  known.add(4, 6);
  assert.is(known.count, 1);
  assert.ok(known.covers(2, 8));
  known.remove(0, 3);
  known.remove(4, 5);
  known.remove(7, 20);
  assert.is(told(known, 10), "...d.dd...");
  known.add(5, 5);
  known.remove(5, 5);
  assert.is(told(known, 10), "...d.dd...");
});

tests("as told by a slow account of each byte, whatever comes", () => {
  const known = new KnownData();
  const bytes = new Array<boolean>(64).fill(false);
  let state = 1;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state >>> 8) % below;
  };
  for (let round = 0; round < 2000; round++) {
    const from = random(64);
    const to = from + random(65 - from);
    const isData = random(2) === 0;
    if (isData) known.add(from, to);
    else known.remove(from, to);
    bytes.fill(isData, from, to);
    assert.is(told(known, 64), bytes.map((data) => (data ? "d" : ".")).join(""));
  }
});

tests("of very many ranges the shorter half is forgotten", () => {
  const known = new KnownData();
  for (let i = 0; i < 10_000; i++) known.add(i * 100, i * 100 + (i % 10 === 0 ? 90 : 10));
  assert.ok(known.count <= 4096, `${known.count} ranges`);
  assert.ok(known.covers(99_000, 99_090));
  const same = new KnownData();
  for (let i = 0; i < 10_000; i++) same.add(i * 100, i * 100 + 10);
  assert.ok(same.count > 1000 && same.count <= 4096, `${same.count} ranges`);
});

tests.run();
