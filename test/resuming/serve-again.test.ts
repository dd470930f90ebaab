import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Export } from "../../src/export/export.ts";
import { memoryExport } from "../../src/export/memory.ts";
import { sampled } from "../../src/export/samples.ts";
import { type BegunHandshake, beginHandshake } from "../../src/nbd/client/begun-handshake.ts";
import type { RemoteExport } from "../../src/nbd/client/remote-export.ts";
import { newWord } from "../../src/nbd/word.ts";
import type { Clock } from "../../src/resuming/clock.ts";
import { keysInMemory } from "../../src/resuming/resume-keys.ts";
import { type ServeAgainOptions, serveAgain } from "../../src/resuming/serve-again.ts";
import { serve } from "../../src/serve.ts";
import { deferred } from "../../src/streams/deferred.ts";
import type { Transport } from "../../src/streams/duplex.ts";
import { transportPair } from "../../src/streams/pair.ts";
import { UnexpectedEndError } from "../../src/streams/parse.ts";
import { WebSocketError } from "../../src/transport/websocket.ts";
import { failure, sequence } from "../bytes.ts";
import { until } from "../waiting.ts";
import { simulatedClock } from "./clock.ts";

const tests = suite("serving over one link after another");

/** One link, as both sides have it. */
class Link {
  readonly socket = Object.assign(new EventTarget(), { bufferedAmount: 0 });
  readonly near: Transport;
  readonly far: Transport;

  constructor() {
    [this.near, this.far] = transportPair();
  }

  /** The connection breaks, or the other side closes it with this code. */
  end(code = 1006, error: Error = new WebSocketError("the connection failed")) {
    this.socket.dispatchEvent(Object.assign(new Event("close"), { code }));
    this.near.close(error);
    this.far.close(error);
  }

  /** Something comes in. */
  hear() {
    this.socket.dispatchEvent(new Event("message"));
  }
}

/** A gateway that is connected to again and again. */
class Gateway {
  readonly links: Link[] = [];
  readonly nonce = newWord();
  /** What happens to attempts, first to last: they succeed where nothing is said. */
  attempts: (Error | undefined)[] = [];
  times: number[] = [];
  readonly clock: Clock;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  readonly #waiting: { count: number; resolve: () => void }[] = [];

  /** Resolves when there have been so many attempts. */
  attempted(count: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.times.length >= count) resolve();
      else this.#waiting.push({ count, resolve });
    });
  }

  connect = () => {
    this.times.push(this.clock.now());
    for (const { count, resolve } of this.#waiting) if (this.times.length >= count) resolve();
    const error = this.attempts.shift();
    if (error) throw error;
    const link = new Link();
    this.links.push(link);
    return { socket: link.socket, transport: link.near };
  };

  /** Waits for an attempt, and begins the handshake on the last link. */
  async begin(index: number, wait = 300): Promise<BegunHandshake> {
    await this.attempted(index + 1);
    await Promise.resolve();
    return beginHandshake(this.links.at(-1)!.far, { introduce: { nonce: this.nonce, wait } });
  }

  async client(index: number, key?: string): Promise<RemoteExport> {
    const begun = await this.begin(index);
    return begun.finish(key === undefined ? {} : { key });
  }
}

function setUp(options: Partial<ServeAgainOptions> = {}, target: Export = memoryExport(sequence(1 << 16))) {
  const { clock, time } = simulatedClock();
  const gateway = new Gateway(clock);
  const ending = new AbortController();
  const lines: string[] = [];
  const wakes = new Set<() => void>();
  const run = () =>
    serveAgain(target, {
      connect: gateway.connect,
      serve,
      serveOptions: {},
      retry: 300,
      signal: ending.signal,
      medium: target,
      identity: () => ({ name: "disk", modified: 17, changed: undefined }),
      onReconnecting: (line) => lines.push(line),
      clock,
      onWake(callback) {
        wakes.add(callback);
        return () => wakes.delete(callback);
      },
      ...options,
    });
  const wake = () => {
    for (const callback of [...wakes]) callback();
  };
  return { clock, time, gateway, ending, lines, wake, wakes, run };
}

const READ = (client: RemoteExport) => client.read(0, 512);

tests("a lost link is replaced, by the same server, which proves the key", async () => {
  const { time, gateway, ending, lines, run } = setUp();
  const serving = run();
  const key = newWord();
  const begun = await gateway.begin(0);
  const first = begun.introduction!;
  assert.equal([first.name, first.modified, first.proof, first.changed], ["disk", 17, undefined, undefined]);
  assert.equal(first.samples, await sampled(memoryExport(sequence(1 << 16)), gateway.nonce));
  assert.equal(await READ(await begun.finish({ key })), sequence(512));

  gateway.links[0]!.end();
  const again = await time.run(gateway.begin(1));
  assert.ok(again.provesKey(key));
  assert.is(again.introduction!.incarnation, first.incarnation);
  assert.equal(await READ(await again.finish()), sequence(512));
  assert.equal(lines, ["the link was lost, trying for 300 s: the connection failed"]);
  ending.abort();
  await time.run(serving);
});

tests("before anything was asked for, every end is for good", async () => {
  for (const error of [new WebSocketError("nothing listens there"), new UnexpectedEndError("cut")]) {
    const { gateway, run } = setUp();
    gateway.attempts = [error];
    assert.is(await failure(run()), error);
    assert.is(gateway.times.length, 1);
  }
  const { gateway, run } = setUp();
  const serving = run();
  await gateway.client(0);
  gateway.links[0]!.end();
  assert.match((await failure(serving)).message, /the connection failed/);
});

tests("after NBD_CMD_DISC, and a close frame without a reason to come back, it ends in order", async () => {
  const keys = keysInMemory();
  const { gateway, run } = setUp({ keys });
  const serving = run();
  const client = await gateway.client(0, newWord());
  await READ(client);
  assert.ok(keys.get());
  await client.close();
  await serving;
  assert.is(gateway.times.length, 1);
  assert.is(keys.get(), undefined, "the key is of no use any more");
});

for (const [what, error] of [
  ["taken over", new WebSocketError("taken over", { code: 4001 })],
  ["another medium", new WebSocketError("another medium", { code: 4003 })],
  ["a policy", new WebSocketError("policy", { code: 1008 })],
  ["a refusal", Object.assign(new WebSocketError("403"), { status: 403 })],
  ["a fault of ours", new TypeError("a fault")],
] as const) {
  tests(`${what}: it is not tried again`, async () => {
    for (const onLink of [true, false]) {
      const { code } = error as Partial<WebSocketError>;
      if (onLink && code === undefined) continue;
      const { time, gateway, run } = setUp();
      const serving = run();
      await READ(await gateway.client(0));
      if (!onLink) gateway.attempts = [error];
      if (onLink) gateway.links[0]!.end(code, error);
      else gateway.links[0]!.end();
      assert.is(await failure(time.run(serving)), error);
      assert.is(gateway.times.length, onLink ? 1 : 2);
    }
  });
}

tests("attempts come less and less often, and end when the time is over", async () => {
  const { time, gateway, lines, run } = setUp({ retry: 60 });
  const serving = run();
  await READ(await gateway.client(0));
  gateway.attempts = Array(100).fill(Object.assign(new WebSocketError("busy"), { status: 503 }));
  const lostAt = gateway.clock.now();
  gateway.links[0]!.end();
  const error = await failure(time.run(serving));
  assert.is(error.message, "given up 60 s after the link was lost: busy");
  const waits = gateway.times.slice(1).map((at, i) => at - (gateway.times[i + 1 - 1] ?? 0));
  assert.equal(
    waits.slice(1, 8).map((wait) => Math.round(wait)),
    [800, 1600, 3200, 6400, 10_000, 10_000, 10_000],
  );
  assert.is(gateway.times.at(-1)! - lostAt, 60_000, "the last attempt is at the end");
  assert.is(lines[1], "trying again in 0.8 s: busy");
});

tests("links that were used, and are cut at once, are replaced as soon as the first", async () => {
  const { time, gateway, ending, run } = setUp();
  const serving = run();
  const key = newWord();
  await READ(await gateway.client(0, key));
  for (let index = 1; index < 8; index++) {
    gateway.links.at(-1)!.end();
    const lostAt = gateway.clock.now();
    await READ(await time.run(gateway.client(index)));
    assert.ok(gateway.times.at(-1)! - lostAt <= 400, `attempt ${index}: ${gateway.times}`);
  }
  ending.abort();
  await time.run(serving);
});

tests("whatever wakes the page up ends the wait", async () => {
  const { time, gateway, wake, wakes, ending, run } = setUp();
  const serving = run();
  await READ(await gateway.client(0));
  gateway.attempts = [new WebSocketError("no network")];
  gateway.links[0]!.end();
  await time.run(gateway.attempted(2));
  const before = gateway.clock.now();
  await until("the wait", () => wakes.size > 0);
  wake();
  await gateway.attempted(3);
  assert.is(gateway.clock.now(), before, "no time has passed");
  ending.abort();
  await time.run(serving);
});

tests("stopped while it waits, it ends in order", async () => {
  const { time, gateway, ending, run } = setUp();
  const serving = run();
  await READ(await gateway.client(0));
  gateway.attempts = Array(100).fill(new WebSocketError("no network"));
  gateway.links[0]!.end();
  await time.run(gateway.attempted(4));
  ending.abort();
  await serving;
});

tests("a gateway that has promised to ask, and is silent for 15 s, is lost", async () => {
  const { time, gateway, ending, lines, run } = setUp();
  const serving = run();
  await READ(await gateway.client(0));
  const heardAt = gateway.clock.now();
  await time.run(gateway.attempted(2));
  const lostAfter = gateway.times[1]! - heardAt;
  assert.ok(lostAfter >= 15_000 && lostAfter < 17_000, `${lostAfter} ms`);
  assert.match(lines[0]!, /nothing came any more/);
  ending.abort();
  await time.run(serving);
});

tests("an attempt of which nothing comes for 10 s is given up, connected or not", async () => {
  let attempts = 0;
  const never = (signal: AbortSignal) =>
    new Promise<never>((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  const scene: ReturnType<typeof setUp> = setUp({
    connect: (signal) => (++attempts === 2 ? never(signal) : scene.gateway.connect()),
  });
  const { time, gateway, ending, run } = scene;
  const serving = run();
  await READ(await gateway.client(0));
  gateway.links[0]!.end();
  // The second attempt has no end of its own, the third is connected and has no answer, the fourth goes on.
  await time.run(gateway.attempted(2));
  assert.is(attempts, 3);
  await time.run(gateway.attempted(3));
  const waited = gateway.times[2]! - gateway.times[1]!;
  assert.ok(waited >= 10_000 && waited < 21_000, `${waited} ms`);
  await READ(await time.run(gateway.client(2)));
  ending.abort();
  await time.run(serving);
});

tests(
  "one that has not promised may be silent for ever; so may a peer that does not know introductions",
  async () => {
    for (const wait of [0, undefined]) {
      const { time, clock, gateway, ending, run } = setUp();
      const serving = run();
      await gateway.attempted(1);
      await Promise.resolve();
      const { far } = gateway.links[0]!;
      const begun = await beginHandshake(
        far,
        wait === undefined ? {} : { introduce: { nonce: gateway.nonce, wait } },
      );
      await READ(await begun.finish());
      await time.run(time.sleep(1_000_000));
      assert.ok(clock.now() >= 1_000_000);
      assert.is(gateway.times.length, 1);
      ending.abort();
      await time.run(serving);
    }
  },
);

tests(
  "what one gateway has promised is not held against the next, which knows of no introductions",
  async () => {
    const { time, gateway, ending, run } = setUp();
    const serving = run();
    await READ(await gateway.client(0));
    gateway.links[0]!.end();
    await time.run(gateway.attempted(2));
    await Promise.resolve();
    const begun = await time.run(beginHandshake(gateway.links[1]!.far));
    await READ(await begun.finish());
    await time.run(time.sleep(1_000_000));
    assert.is(gateway.times.length, 2);
    ending.abort();
    await time.run(serving);
  },
);

tests(
  "an older write never comes after a newer one: the next link waits for what the last one has begun",
  async () => {
    const memory = memoryExport(new Uint8Array(4096));
    const held = deferred();
    let isHeld = true;
    let hasBegun = false;
    const slow: Export = {
      ...memory,
      async write(offset, data, options) {
        // What the server was given belongs to it until this settles.
        hasBegun = true;
        if (isHeld) await held.promise;
        return memory.write!(offset, data, options);
      },
    };
    const { time, gateway, ending, run } = setUp({}, slow);
    const serving = run();
    const client = await gateway.client(0);
    await READ(client);
    const lost = failure(client.write!(0, new Uint8Array(512).fill(1)));
    await until("the write", () => hasBegun);
    isHeld = false;
    gateway.links[0]!.end();
    await lost;
    await time.run(time.sleep(30_000));
    assert.is(gateway.times.length, 1, "there is no new link yet");
    held.resolve();
    const again = await time.run(gateway.client(1));
    await again.write!(0, new Uint8Array(512).fill(1));
    await again.write!(0, new Uint8Array(512).fill(2));
    assert.equal(await READ(again), new Uint8Array(512).fill(2));
    ending.abort();
    await time.run(serving);
  },
);

tests(
  "a write that never ends is waited for no longer than a link would be; a read that hangs is not",
  async () => {
    for (const isWrite of [true, false]) {
      const memory = memoryExport(new Uint8Array(4096));
      let isHanging = false;
      const hangs = () => new Promise<never>(() => {});
      const target: Export = {
        ...memory,
        read: (...all) => (isHanging ? hangs() : memory.read(...all)),
        write: (...all) => (isHanging ? hangs() : memory.write!(...all)),
      };
      const { time, gateway, ending, run } = setUp({}, target);
      const serving = run();
      const client = await gateway.client(0);
      await READ(client);
      isHanging = true;
      const lost = failure(isWrite ? client.write!(0, new Uint8Array(512)) : READ(client));
      await new Promise((resolve) => setTimeout(resolve, 20));
      isHanging = false;
      gateway.links[0]!.end();
      await lost;
      if (isWrite) {
        const { message } = await failure(time.run(serving));
        assert.is(
          message,
          "given up 300 s after the link was lost: what was written over the lost link has not ended",
        );
      } else {
        await READ(await time.run(gateway.client(1)));
        ending.abort();
        await time.run(serving);
      }
    }
  },
);

tests("a WebSocket that is gone without an error, while a read hangs, is replaced all the same", async () => {
  const memory = memoryExport(new Uint8Array(4096));
  let isHanging = false;
  const read: Export["read"] = (...all) => (isHanging ? new Promise(() => {}) : memory.read(...all));
  const { time, gateway, ending, lines, run } = setUp({}, { ...memory, read });
  const serving = run();
  const client = await gateway.client(0);
  await READ(client);
  isHanging = true;
  READ(client).catch(() => {});
  await new Promise((resolve) => setTimeout(resolve, 20));
  isHanging = false;
  // Its streams end in order, once the read is answered.
  gateway.links[0]!.socket.dispatchEvent(Object.assign(new Event("close"), { code: 1006 }));
  await time.run(time.sleep(5000));
  assert.is(gateway.times.length, 2);
  await READ(await gateway.client(1));
  assert.is(lines[0], "the link was lost, trying for 300 s: the connection ended without a word");
  ending.abort();
  await time.run(serving);
});

tests("a medium that cannot be read now is tried again, one that was changed is told of", async () => {
  let changed: string | undefined;
  let fault: Error | undefined;
  const { time, gateway, ending, lines, run } = setUp({
    identity() {
      if (fault) throw fault;
      return { name: "disk", modified: 17, changed };
    },
  });
  const serving = run();
  await READ(await gateway.client(0));
  fault = new Error("the stick was pulled out");
  gateway.links[0]!.end();
  await failure(time.run(gateway.begin(1)));
  await time.run(gateway.attempted(3));
  assert.ok(
    lines.some((line) => /trying again in .* s: the stick was pulled out/.test(line)),
    lines.join("\n"),
  );
  fault = undefined;
  changed = "it has other bytes";
  gateway.links[2]!.end();
  const begun = await time.run(gateway.begin(3));
  assert.is(begun.introduction!.changed, changed);
  ending.abort();
  await time.run(serving);
});

tests.run();
