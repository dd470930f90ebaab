/** What a tab keeps of its session, in a browser of which only locks and storage are there. */
import * as assert from "uvu/assert";
import { readSession } from "../../../web/keeping/kept-session.ts";
import { TabSession } from "../../../web/keeping/tab-session.ts";
import { suite, until } from "../../harness.ts";

const NAME = "nbd-proxy session /cd";
const KEY = "AAAAAAAAAAAAAAAAAAAAAA";
const FILE = { name: "a.iso", size: 4096 };

/** The holders of names, and what a browser keeps. */
const held = new Set<string>();
const kept = new Map<string, string>();

const locks = {
  async request(name: string, _options: object, use: (lock: object | null) => unknown) {
    await Promise.resolve();
    if (held.has(name)) return use(null);
    held.add(name);
    await use({});
    return held.delete(name);
  },
};
const localStorage = {
  getItem: (name: string) => kept.get(name) ?? null,
  setItem: (name: string, value: string) => void kept.set(name, value),
  removeItem: (name: string) => void kept.delete(name),
};

const tests = suite("the session of a tab");

tests.before(() => {
  for (const [name, value] of Object.entries({ navigator: { locks }, localStorage })) {
    Object.defineProperty(globalThis, name, { value, configurable: true });
  }
});
tests.before.each(() => {
  held.clear();
  kept.clear();
});

tests("it keeps the key while it holds the name, and gives the name back", async () => {
  const session = new TabSession(NAME, FILE, undefined);
  assert.is(await session.get(), undefined);
  await session.set(KEY, 300);
  const { seenAt, ...rest } = readSession(NAME)!;
  assert.equal(rest, { key: KEY, ...FILE, wait: 300 });
  assert.ok(seenAt <= Date.now());
  session.end();
  await until("the name is free", () => held.size === 0);
  assert.is(readSession(NAME)?.key, KEY, "for whoever goes on");
  const next = new TabSession(NAME, FILE, undefined);
  assert.is(await next.get(), KEY);
  next.end();
});

tests("of an address it keeps the query, as nothing is there without it, and no password", async () => {
  const url = "https://user:word@mirror.example/a.iso?signature=s";
  const session = new TabSession(NAME, { ...FILE, url }, undefined);
  await session.set(KEY, 300);
  assert.is(readSession(NAME)?.url, "https://mirror.example/a.iso?signature=s");
  await session.set(undefined);
  assert.is(kept.size, 0, "nothing is left of it");
  session.end();
  await until("the name is free", () => held.size === 0);
});

tests("what is set just before the end is kept, or forgotten, all the same", async () => {
  const session = new TabSession(NAME, FILE, undefined);
  await session.set(KEY, 300);
  void session.set(undefined);
  session.end();
  await until("the name is free", () => held.size === 0);
  assert.is(readSession(NAME), undefined);
});

tests("a second tab keeps nothing, and takes nothing", async () => {
  const first = new TabSession(NAME, FILE, undefined);
  await first.set(KEY, 300);
  const second = new TabSession(NAME, FILE, undefined);
  assert.is(await second.get(), undefined);
  second.end();
  assert.is(held.size, 1);
  first.end();
  await until("the name is free", () => held.size === 0);
});

tests("a session that has ended before it had the name holds nothing", async () => {
  const session = new TabSession(NAME, FILE, undefined);
  session.end();
  await session.get();
  await until("the name is free", () => held.size === 0);
});

tests.run();
