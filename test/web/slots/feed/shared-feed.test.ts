/** Tabs of one browser that share a connection: who has it, who is told, who goes on. */
import * as assert from "uvu/assert";
import type { News } from "../../../../web/slots/feed/news.ts";
import { SharedFeed } from "../../../../web/slots/feed/shared-feed.ts";
import { suite, until } from "../../../harness.ts";
import { configuration, statusOf } from "./stand-in-status.ts";

/** Locks as a browser has them: one holder of a name, the others in a queue. */
class StandInLocks {
  #last: Promise<unknown> = Promise.resolve();

  request(
    _name: string,
    { signal }: { signal?: AbortSignal },
    use: () => Promise<unknown>,
  ): Promise<unknown> {
    const before = this.#last;
    const aborted = new Promise<never>((_, reject) => {
      signal?.addEventListener("abort", () => reject(new DOMException("left", "AbortError")));
    });
    aborted.catch(() => {});
    let isGiven = false;
    const turn = before.then(() => {
      if (signal?.aborted) return undefined;
      isGiven = true;
      return use();
    });
    this.#last = turn.catch(() => {});
    return Promise.race([turn, aborted.catch((error) => (isGiven ? turn : Promise.reject(error)))]);
  }
}

/** A tab. */
class Tab {
  readonly news: News[] = [];
  readonly shared: SharedFeed;
  /** Tells what the gateway says, while this tab has the connection. */
  tell: ((news: News) => void) | undefined;
  /** Ends the feed by itself. */
  end: (() => void) | undefined;

  constructor(locks: StandInLocks | undefined, name: string) {
    this.shared = new SharedFeed({
      name,
      onnews: (news) => this.news.push(news),
      locks: locks as Pick<LockManager, "request"> | undefined,
      run: (onnews, signal) =>
        new Promise<void>((resolve) => {
          this.tell = onnews;
          const end = () => {
            this.tell = undefined;
            resolve();
          };
          this.end = end;
          signal.addEventListener("abort", end);
        }),
    });
  }
}

interface Context {
  tabs: Tab[];
  open(count: number, hasLocks?: boolean): Tab[];
}

const tests = suite<Context>("tabs that share a connection");
let count = 0;

tests.before.each((context) => {
  context.tabs = [];
  context.open = (number, hasLocks = true) => {
    const locks = hasLocks ? new StandInLocks() : undefined;
    const name = `events ${count++}`;
    const opened = Array.from({ length: number }, () => new Tab(locks, name));
    context.tabs.push(...opened);
    for (const { shared } of opened) shared.join();
    return opened;
  };
});
tests.after.each(({ tabs }) => {
  for (const { shared } of tabs) shared.leave();
});

const news = (name: string): News => ({ kind: "status", document: statusOf(configuration(name)) });
const leadersOf = (tabs: readonly Tab[]) => tabs.filter(({ tell }) => tell);
const leader = (tabs: readonly Tab[]) => until("one has the connection", () => leadersOf(tabs).length === 1);

tests("one has the connection, and all are told", async ({ open }) => {
  const tabs = open(3);
  await leader(tabs);
  leadersOf(tabs)[0]!.tell!(news("cd"));
  await until("all are told", () => tabs.every((tab) => tab.news.length === 1));
  assert.equal(tabs[2]!.news, [news("cd")]);
  assert.is(leadersOf(tabs).length, 1);
});

tests("who comes later is told what is known", async ({ open }) => {
  const tabs = open(2);
  tabs[1]!.shared.leave();
  await leader(tabs);
  leadersOf(tabs)[0]!.tell!(news("cd"));
  tabs[1]!.shared.join();
  await until("the second is told", () => tabs[1]!.news.length === 1);
});

tests("when the one that has it leaves another takes it; who has left is told nothing", async ({ open }) => {
  const tabs = open(2);
  await leader(tabs);
  const [first] = leadersOf(tabs);
  const second = tabs.find((tab) => tab !== first)!;
  const late = first!.tell!;
  first!.shared.leave();
  await until("the other has it", () => second.tell !== undefined);
  assert.is(first!.tell, undefined);
  late(news("usb"));
  second.tell!(news("cd"));
  assert.equal(second.news, [news("cd")]);
  assert.equal(first!.news, []);
  assert.not.ok(first!.shared.isJoined);
});

tests(
  "a login that is missing is told to nobody else: another tab takes the connection",
  async ({ open }) => {
    const tabs = open(3);
    await leader(tabs);
    const [first] = leadersOf(tabs);
    const others = tabs.filter((tab) => tab !== first);
    first!.tell!({ kind: "locked" });
    first!.end!();
    await until("another has it", () => leadersOf(others).length === 1);
    leadersOf(others)[0]!.tell!(news("cd"));
    await until("both are told", () => others.every((tab) => tab.news.length > 0));
    assert.equal(first!.news, [{ kind: "locked" }]);
    for (const other of others) assert.equal(other.news, [news("cd")]);
    await until("the first has ended", () => !first!.shared.isJoined);
    first!.shared.join();
    await until("it is told again", () => first!.news.at(-1)?.kind === "status");
  },
);

tests("without locks each has its own", async ({ open }) => {
  const tabs = open(2, false);
  await until("both have one", () => leadersOf(tabs).length === 2);
  tabs[0]!.tell!(news("cd"));
  assert.equal(tabs[0]!.news, [news("cd")]);
  assert.equal(tabs[1]!.news, []);
});

tests.run();
