/** Names that tabs hold, where a browser has no locks and the tabs ask each other. */
import * as assert from "uvu/assert";
import { hold, isHeld } from "../../../web/keeping/hold.ts";
import { suite } from "../../harness.ts";

const tests = suite("names that tabs hold, without locks");

tests.before(() => {
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
});

tests("one holds a name until it is given back", async () => {
  const held = await hold("a");
  assert.ok(held);
  assert.ok(await isHeld("a"));
  assert.is(await hold("a"), undefined);
  assert.not(await isHeld("b"));
  held!.release();
  assert.not(await isHeld("a"));
});

tests("who only looks keeps nobody from holding a name, nor takes another look for a holder", async () => {
  const looks = [isHeld("c"), isHeld("c")];
  const [held] = await Promise.all([hold("c"), ...looks]);
  assert.ok(held);
  held!.release();
  assert.equal(await Promise.all([isHeld("d"), isHeld("d")]), [false, false]);
});

tests.run();
