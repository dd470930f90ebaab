import * as assert from "uvu/assert";
import { hold, isHeld } from "../../../web/keeping/hold.ts";
import { suite } from "../../harness.ts";

/* How a name is held where a browser has no locks, as over plain HTTP. */
const tests = suite("a hold without locks");

tests.before.each(() => {
  Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
});

tests("who only looks keeps nobody from a name", async () => {
  const looking = isHeld("looked at");
  await new Promise(setImmediate);
  const got = await hold("looked at");
  assert.ok(got, "it is free");
  await looking;
  got.release();
});

tests("what a tab holds is held, and refused to others", async () => {
  const got = await hold("held");
  assert.ok(await isHeld("held"));
  assert.is(await hold("held"), undefined);
  got?.release();
  assert.not(await isHeld("held"));
});

tests.run();
