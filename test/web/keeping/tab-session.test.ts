import * as assert from "uvu/assert";
import { readSession } from "../../../web/keeping/kept-session.ts";
import { TabSession } from "../../../web/keeping/tab-session.ts";
import { suite } from "../../harness.ts";

/* What a tab keeps of its session, in stand-ins of a browser's storage and locks. */
const tests = suite("the session of a tab");

const file = { name: "disk.iso", size: 5000 };
const KEY = "A".repeat(22);

tests.before.each(() => {
  const stored = new Map<string, string>();
  const localStorage = {
    getItem: (name: string) => stored.get(name) ?? null,
    setItem: (name: string, value: string) => void stored.set(name, value),
    removeItem: (name: string) => void stored.delete(name),
  };
  const request = async (_name: string, _options: unknown, hold: (lock: object) => unknown) => hold({});
  Object.defineProperty(globalThis, "localStorage", { value: localStorage, configurable: true });
  Object.defineProperty(globalThis, "navigator", { value: { locks: { request } }, configurable: true });
});

tests("what ends in order leaves no key behind, though it is given back in the same breath", async () => {
  const session = new TabSession("one", file, undefined);
  assert.is(await session.get(), undefined);
  await session.set(KEY, 60);
  assert.is(readSession("one")?.key, KEY);
  void session.set(undefined);
  session.end();
  await new Promise(setImmediate);
  assert.is(readSession("one"), undefined);
});

tests("what ends in any other way leaves its key to whoever goes on", async () => {
  const session = new TabSession("one", file, undefined);
  await session.get();
  await session.set(KEY, 60);
  session.end();
  assert.is(await new TabSession("one", file, undefined).get(), KEY);
});

tests.run();
