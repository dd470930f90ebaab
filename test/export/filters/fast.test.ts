import fc from "fast-check";
import * as assert from "uvu/assert";
import { Errno, ExportError } from "../../../src/export/error.ts";
import type { Export, Filter } from "../../../src/export/export.ts";
import { Cache } from "../../../src/export/filters/cache.ts";
import { type FastOptions, fast } from "../../../src/export/filters/fast.ts";
import { forward } from "../../../src/export/filters/forward.ts";
import { LinkMeter, metered } from "../../../src/export/filters/link-meter.ts";
import { readAhead } from "../../../src/export/filters/read-ahead.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { MemoryBudget } from "../../../src/streams/memory-budget.ts";
import { failure, sequence } from "../../bytes.ts";
import { suite } from "../../harness.ts";
import { Clock, type LinkOptions, overLink } from "../../simulated-link.ts";
import { readTrace, TRACES, type TraceName } from "../../trace.ts";

const tests = suite("fast: read-ahead and cache, over a simulated link");
const KIB = 1024;
const MIB = 1024 * KIB;
/** 100 Mbit/s in bytes a second. */
const RATE = 12_500_000;
const WINDOW = { request: 256 * KIB, outstanding: 16 * MIB };
const FIRST_GENERATION = { request: 128 * KIB, outstanding: 512 * KIB };

/** Bytes that nobody looks at, so that large exports cost nothing. */
function large(size: number): Export {
  return { size, read: async (_offset, length) => new Uint8Array(length), close: async () => {} };
}

function far(next: Export, link: LinkOptions, options: Partial<FastOptions> = {}) {
  const clock = new Clock();
  const { link: remote, traffic } = overLink(next, clock, link);
  return { clock, traffic, target: fast({ window: WINDOW, now: clock.now, ...options })(remote) };
}

/** Reads a range strictly one read after the other. */
async function readThrough(target: Export, block: number, from = 0, to = target.size) {
  for (let at = from; at < to; at += block) await target.read(at, Math.min(block, to - at));
}

/** Numbers in [0, 1), the same in every run. */
function randoms(seed = 1) {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31;
  };
}

async function readRandomly(target: Export, block: number, count: number, random = randoms()) {
  for (let i = 0; i < count; i++) {
    await target.read(Math.floor((random() * target.size) / block) * block, block);
  }
}

for (const roundTrip of [0, 10, 20, 50, 100]) {
  tests(
    `${roundTrip} ms: a sequential reader gets nine tenths of 100 Mbit/s, with few requests`,
    async () => {
      const size = 64 * MIB;
      const { clock, traffic, target } = far(large(size), { roundTrip, rate: RATE });
      await clock.run(readThrough(target, 128 * KIB));
      assert.ok(size / clock.now() >= 0.9 * (RATE / 1000), `${size / clock.now() / 1000} MB/s`);
      assert.is(traffic.bytes, size, "no byte is asked for twice, and none in vain");
      assert.ok(traffic.longest <= 256 * KIB);
      assert.ok(traffic.requests <= size / (64 * KIB), `${traffic.requests} requests`);
      // Bandwidth × delay, three times while the rate is being found; and 256 KiB at least.
      const bandwidthDelay = (RATE / 1000) * (Math.max(roundTrip, 40) + 25);
      assert.ok(traffic.mostOutstanding <= 3 * bandwidthDelay, `${traffic.mostOutstanding / KIB} KiB`);
    },
  );
}

tests("50 ms without a limit: twelve times one request after the other, and more", async () => {
  const size = 256 * MIB;
  const { clock, traffic, target } = far(large(size), { roundTrip: 50 });
  await clock.run(readThrough(target, 128 * KIB));
  const plain = (size / (128 * KIB)) * 50;
  assert.ok(plain / clock.now() > 12, `${plain / clock.now()} times`);
  assert.is(traffic.bytes, size);
  assert.ok(traffic.mostOutstanding <= WINDOW.outstanding - WINDOW.request);
});

tests("answers that are held up by more than the way are found to be no queue", async () => {
  const size = 128 * MIB;
  const random = randoms();
  const { clock, target } = far(large(size), {
    roundTrip: 20,
    rate: RATE,
    jitter: () => random() ** 2 * 300,
  });
  await clock.run(readThrough(target, 128 * KIB));
  assert.ok(size / clock.now() >= 0.3 * (RATE / 1000), `${size / clock.now() / 1000} MB/s`);
});

tests("a reader of 2 KiB is no different", async () => {
  const size = 8 * MIB;
  const { clock, traffic, target } = far(large(size), { roundTrip: 50, rate: RATE });
  await clock.run(readThrough(target, 2 * KIB));
  assert.ok(traffic.requests <= size / (32 * KIB), `${traffic.requests} requests`);
  assert.ok(clock.now() < 1500 + size / (RATE / 1000), `${clock.now()} ms`);
});

for (const [name, size] of Object.entries(TRACES) as [TraceName, number][]) {
  tests(`${name}: the reads of a boot wait for few round trips, and few bytes are in vain`, async () => {
    const { clock, traffic, target } = far(large(size), { roundTrip: 50, rate: RATE });
    let bytes = 0;
    let waited = 0;
    async function boot() {
      for (const { offset, length, pause } of readTrace(name)) {
        await clock.sleep(pause);
        const start = clock.now();
        await target.read(offset, length);
        waited += clock.now() - start;
        bytes += length;
      }
    }
    await clock.run(boot());
    assert.ok(waited < 28 * 50, `${waited} ms`);
    assert.ok(traffic.requests < 150 + bytes / (64 * KIB), `${traffic.requests} requests`);
    assert.ok(traffic.bytes < 1.2 * bytes, `${traffic.bytes / bytes} times the bytes`);
  });
}

tests("several sequential readers at once are told apart", async () => {
  const size = 64 * MIB;
  const { clock, traffic, target } = far(large(size), { roundTrip: 50, rate: RATE });
  const part = 8 * MIB;
  await clock.run(
    Promise.all([0, 2, 4, 6].map((at) => readThrough(target, 64 * KIB, at * part, (at + 1) * part))),
  );
  assert.ok((4 * part) / clock.now() >= 0.9 * (RATE / 1000), `${(4 * part) / clock.now() / 1000} MB/s`);
  assert.ok(traffic.bytes <= 4 * part * 1.2, `${traffic.bytes / (4 * part)} times the bytes`);
});

for (const [block, count] of [
  [4096, 200],
  [4096, 4000],
  [512, 4000],
  [128 * KIB, 200],
] as const) {
  tests(`${count} random reads of ${block} bytes: no slower, and no more than twice the bytes`, async () => {
    const link = { roundTrip: 50, rate: RATE };
    const size = 256 * MIB;
    const plainClock = new Clock();
    const plain = overLink(large(size), plainClock, link);
    await plainClock.run(readRandomly(plain.link, block, count));
    const { clock, traffic, target } = far(large(size), link);
    await clock.run(readRandomly(target, block, count));
    assert.ok(clock.now() <= plainClock.now() * 1.1, `${clock.now()} ms, plain ${plainClock.now()} ms`);
    assert.ok(traffic.bytes <= 2 * count * block, `${traffic.bytes / (count * block)} times the bytes`);
  });
}

tests("a random reader beside a sequential one waits for no more than what keeps the link busy", async () => {
  const { clock, target } = far(large(512 * MIB), { roundTrip: 50, rate: RATE });
  let isOver = false;
  const times: number[] = [];
  const random = randoms();
  async function beside() {
    while (!isOver) {
      const start = clock.now();
      await target.read(256 * MIB + Math.floor(random() * 65_536) * 4096, 4096);
      times.push(clock.now() - start);
    }
  }
  const sequential = readThrough(target, 128 * KIB, 0, 256 * MIB).then(() => {
    isOver = true;
  });
  await clock.run(Promise.all([sequential, beside()]));
  times.sort((a, b) => a - b);
  assert.ok(times[Math.floor(times.length * 0.5)]! < 100, `half: ${times[times.length >> 1]} ms`);
  assert.ok(times[Math.floor(times.length * 0.99)]! < 160, `p99: ${times[Math.floor(times.length * 0.99)]}`);
  assert.ok((256 * MIB) / clock.now() > 0.85 * (RATE / 1000), "the sequential reader");
});

tests("what is ahead of readers that have stopped stays within the budget", async () => {
  const budget = 2 * MIB;
  const { clock, traffic, target } = far(large(64 * MIB), { roundTrip: 50, rate: RATE }, { budget });
  for (let at = 0; at < 16; at++) {
    await clock.run(readThrough(target, 64 * KIB, at * 4 * MIB, at * 4 * MIB + MIB));
  }
  assert.ok(traffic.mostOutstanding <= budget);
  assert.ok(traffic.bytes <= 2 * 16 * MIB, "each is given no more ahead than it has read");
});

tests("a reader that has stopped takes no room from the next one", async () => {
  const { clock, traffic, target } = far(large(64 * MIB), { roundTrip: 50 }, { budget: MIB });
  await clock.run(readThrough(target, 16 * KIB, 0, 4 * MIB));
  const requests = traffic.requests;
  await clock.run(
    (async () => {
      await clock.sleep(2000);
      await readThrough(target, 16 * KIB, 32 * MIB, 36 * MIB);
    })(),
  );
  const more = traffic.requests - requests;
  assert.ok(more <= 1.5 * requests, `${more} requests for as much as ${requests} before`);
});

tests("a reader goes on being read ahead of when what was ahead of it is given up for others", async () => {
  const memory = new MemoryBudget(16 * MIB);
  const { clock, traffic, target } = far(large(64 * MIB), { roundTrip: 50 }, { memory });
  await clock.run(readThrough(target, 16 * KIB, 0, 16 * MIB));
  await clock.run(clock.sleep(1000)); // all that was asked for is there
  const others = memory.share({ oldest: Number.POSITIVE_INFINITY, giveUpOldest() {}, giveUpIdle() {} });
  others.now();
  assert.ok(others.take(15 * MIB));
  const requests = traffic.requests;
  await clock.run(readThrough(target, 16 * KIB, 16 * MIB, 20 * MIB));
  assert.ok(traffic.requests - requests <= 64, `${traffic.requests - requests} requests for 256 reads`);
});

tests("a first-generation server: 128 KiB at a time, room for a read that is needed now", async () => {
  const { clock, traffic, target } = far(
    large(16 * MIB),
    { roundTrip: 50, rate: RATE },
    { window: FIRST_GENERATION },
  );
  await clock.run(readThrough(target, 128 * KIB));
  assert.ok(traffic.longest <= 128 * KIB);
  assert.ok(traffic.mostOutstanding <= 384 * KIB);
});

for (const outstanding of [512 * KIB, 256 * KIB, 128 * KIB]) {
  tests(
    `a window of ${outstanding / KIB} KiB in requests of 128 KiB: a sequential reader has what is left of it read ahead`,
    async () => {
      const roundTrip = 50;
      const size = 8 * MIB;
      const window = { request: 128 * KIB, outstanding };
      const { clock, traffic, target } = far(large(size), { roundTrip, rate: RATE }, { window });
      await clock.run(readThrough(target, 32 * KIB));
      assert.ok(traffic.mostOutstanding <= outstanding, `${traffic.mostOutstanding} bytes at a time`);
      const inRoundTrip = (size / clock.now()) * roundTrip;
      assert.ok(
        inRoundTrip > Math.max((outstanding - window.request) / 3, 24 * KIB),
        `${inRoundTrip} bytes in a round trip`,
      );
    },
  );
}

tests("what a client says it will read is brought in, at the same pace", async () => {
  const { clock, traffic, target } = far(large(64 * MIB), { roundTrip: 50, rate: RATE });
  await clock.run(target.cache!(MIB, 2 * MIB));
  await clock.run(clock.sleep(2000));
  assert.is(traffic.bytes, 2 * MIB);
  const before = clock.now();
  await clock.run(target.read(MIB, 128 * KIB));
  assert.is(clock.now(), before, "it was there");
  assert.ok(traffic.longest <= 256 * KIB);
});

tests("a failed read-ahead fails no read, and is not tried again and again", async () => {
  const memory = memoryExport(sequence(MIB), { readOnly: true });
  const broken = new ExportError(Errno.EIO, "broken");
  let reads = 0;
  const { clock, target } = far(
    {
      ...memory,
      async read(offset, length) {
        reads++;
        // All that is longer than what the reader below asks for is a read-ahead.
        if (length > 4096) throw broken;
        return memory.read(offset, length);
      },
    },
    { roundTrip: 50 },
  );
  for (let at = 0; at < MIB; at += 4096) {
    assert.equal(await clock.run(target.read(at, 4096)), sequence(4096, at));
  }
  assert.ok(reads <= 3 * (MIB / 4096), `${reads} reads`);
});

for (const [roundTrip, again] of [
  [1, 4],
  [50, 0],
] as const) {
  tests(`${roundTrip} ms, eight reads in flight: ${again} of them are not kept`, async () => {
    const { clock, traffic, target } = far(large(64 * MIB), { roundTrip });
    await clock.run(target.read(32 * MIB, 4096));
    // Four reads in flight are many, so it is the last four that are not kept.
    const offsets = Array.from({ length: 8 }, (_, i) => i * 4 * MIB);
    const readAll = () => clock.run(Promise.all(offsets.map((offset) => target.read(offset, 4096))));
    await readAll();
    const before = traffic.asked.length;
    await readAll();
    const asked = traffic.asked.slice(before).filter(([offset]) => offsets.includes(offset));
    assert.is(asked.length, again);
  });
}

tests("1 ms, sixteen reads whose answers come together: from the second time on none is kept", async () => {
  const { clock, traffic, target } = far(large(64 * MIB), { roundTrip: 1 });
  await clock.run(target.read(32 * MIB, 4096));
  const offsets = Array.from({ length: 16 }, (_, i) => i * 2 * MIB);
  const readAll = (from: number) =>
    clock.run(Promise.all(offsets.map((offset) => target.read(from + offset, 4096))));
  await readAll(0);
  const before = traffic.requests;
  for (let round = 1; round <= 4; round++) await readAll(MIB);
  assert.is(traffic.requests - before, 4 * 16);
});

tests("a reader that has no longer many reads in flight is read ahead of again", async () => {
  const { clock, traffic, target } = far(large(64 * MIB), { roundTrip: 1 });
  const offsets = Array.from({ length: 128 }, (_, i) => 32 * MIB + i * 64 * KIB);
  await clock.run(Promise.all(offsets.map((offset) => target.read(offset, 4096))));
  await clock.run(readThrough(target, 16 * KIB, 0, 2 * MIB));
  const before = traffic.requests;
  await clock.run(readThrough(target, 16 * KIB, 2 * MIB, 10 * MIB));
  assert.ok(traffic.requests - before <= (8 * MIB) / (32 * KIB), `${traffic.requests - before} requests`);
});

tests(
  "a reader with many reads in flight is given what was read ahead: no byte is asked for twice",
  async () => {
    const { clock, traffic, target } = far(large(64 * MIB), { roundTrip: 1 });
    await clock.run(readThrough(target, 64 * KIB, 0, MIB));
    const blocks = Array.from({ length: 16 }, (_, i) => MIB + i * 64 * KIB);
    await clock.run(Promise.all(blocks.map((offset) => target.read(offset, 64 * KIB))));
    let end = 0;
    for (const [offset, length] of traffic.asked.sort(([a], [b]) => a - b)) {
      assert.ok(offset >= end, `${offset} was asked for before`);
      end = offset + length;
    }
  },
);

tests("close() ends what is on its way, and nothing is asked for afterwards", async () => {
  let isClosed = false;
  const { clock, traffic, target } = far(
    {
      ...large(64 * MIB),
      async close() {
        isClosed = true;
      },
    },
    { roundTrip: 50, rate: RATE },
  );
  await clock.run(readThrough(target, 128 * KIB, 0, 4 * MIB));
  assert.ok(traffic.outstanding > 0, "something is ahead");
  const before = traffic.requests;
  await clock.run(target.close());
  assert.is(traffic.requests, before);
  assert.is(traffic.outstanding, 0);
  assert.is(isClosed, true);
  assert.is(((await failure(target.read(0, 1))) as ExportError).errno, Errno.ESHUTDOWN);
});

/** Filters of a third party, which know nothing of read-ahead. */
const thirdParty: Record<string, Filter> = {
  "that spreads the next export, and awaits": (next) => ({
    ...next,
    async read(offset, length, options) {
      await 0;
      return next.read(offset, length, options);
    },
  }),
  "that forwards, awaits often, and passes on no options": (next) => ({
    ...forward(next),
    async read(offset, length) {
      for (let turn = 0; turn < 10; turn++) await 0;
      return next.read(offset, length);
    },
    async cache(offset, length) {
      await 0;
      await next.cache?.(offset, length);
    },
  }),
  "that shows a part of the next export": (next) => ({
    ...next,
    size: next.size - 4096,
    read: async (offset, length, options) => next.read(offset + 4096, length, options),
    cache: async (offset, length) => next.cache?.(offset + 4096, length),
  }),
};

/** Read-ahead over a cache over a link, with a filter that somebody else has put in between. */
function stacked(above: Filter, below: Filter) {
  const clock = new Clock();
  const { link, traffic } = overLink(large(64 * MIB), clock, { roundTrip: 50, rate: RATE });
  const meter = new LinkMeter({ ceiling: 4 * MIB, now: clock.now });
  const kept = new Cache(below(metered(meter)(link)), { budget: 8 * MIB });
  const ahead = readAhead({ cache: kept, meter, limit: 4 * MIB, now: clock.now });
  return { clock, traffic, target: ahead(above(kept.export)) };
}

const loads: Record<string, (target: Export, shift: number) => Promise<void>> = {
  "a sequential reader": (target, shift) => readThrough(target, 64 * KIB, MIB - shift, 9 * MIB - shift),
  "two sequential readers": async (target, shift) => {
    const readers = [0, 32].map((at) =>
      readThrough(target, 16 * KIB, (at + 1) * MIB - shift, (at + 5) * MIB - shift),
    );
    await Promise.all(readers);
  },
  "random reads": async (target, shift) => {
    const random = randoms();
    for (let i = 0; i < 300; i++) await target.read(MIB + Math.floor(random() * 15_000) * 4096 - shift, 4096);
  },
  "a client that says what it will read": async (target, shift) => {
    await target.cache!(MIB - shift, 2 * MIB);
    await readThrough(target, 128 * KIB, MIB - shift, 3 * MIB - shift);
  },
};
const none: Filter = (next) => next;

for (const [kind, filter] of Object.entries(thirdParty)) {
  for (const [load, run] of Object.entries(loads)) {
    tests(`${load}: a filter ${kind} changes nothing of what is asked for ahead`, async () => {
      const plain = stacked(none, none);
      await plain.clock.run(run(plain.target, 0));
      const shift = kind.includes("part") ? 4096 : 0;
      const places: [string, Filter, Filter, number][] = [["above the cache", filter, none, shift]];
      if (shift === 0) places.push(["below it", none, filter, 0], ["on both sides", filter, filter, 0]);
      for (const [place, above, below, shift] of places) {
        const between = stacked(above, below);
        await between.clock.run(run(between.target, shift));
        assert.equal(between.traffic.asked, plain.traffic.asked, place);
        assert.is(between.clock.now(), plain.clock.now(), place);
        assert.is(between.traffic.mostOutstanding, plain.traffic.mostOutstanding, place);
      }
    });
  }
}

/** What may be done to an export of 64 sectors. */
const SECTORS = 64;
const range = fc
  .tuple(fc.nat(SECTORS * 512 - 1), fc.integer({ min: 1, max: 8 * 512 }))
  .map(([offset, length]) => ({ offset, length: Math.min(length, SECTORS * 512 - offset) }));
const operation = fc.record({
  /** Milliseconds after the one before. */
  after: fc.constantFrom(0, 0, 1, 5, 20, 60),
  /** How long the server takes, and so in which order it does what it is asked. */
  delay: fc.nat(30),
  kind: fc.constantFrom("read", "read", "read", "sequential", "hint", "write", "trim", "zero", "flush"),
  range,
});

tests("random interleavings of reads, writes, trims, zeroes and flushes match a model", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(operation, { maxLength: 60 }),
      fc.integer({ min: 1, max: 64 }),
      async (operations, kib) => {
        const clock = new Clock();
        const bytes = new Uint8Array(SECTORS * 512);
        const memory = memoryExport(bytes);
        let delay = 0;
        /** The server does what it is asked some time after that, and answers some time later. */
        async function later<T>(act: () => T | Promise<T>): Promise<T> {
          const mine = delay;
          await clock.sleep(mine);
          const result = await act();
          await clock.sleep(30 - mine);
          return result;
        }
        const server: Export = {
          ...memory,
          read: (offset, length) => later(() => memory.read(offset, length)),
          write: (offset, data) => later(() => memory.write!(offset, data)),
          trim: (offset, length) => later(() => void bytes.fill(255, offset, offset + length)),
          writeZeroes: (offset, length) => later(() => void bytes.fill(0, offset, offset + length)),
          flush: () => later(() => {}),
        };
        const target = fast({
          window: { request: 4096, outstanding: 32_768 },
          budget: kib * KIB,
          now: clock.now,
        })(server);

        /** For each byte, the values that it may have: of the last change that is over, and of those since. */
        const settled = new Uint8Array(bytes.length);
        const pending: { offset: number; length: number; value: number }[] = [];
        /** Reads on their way, with what changed meanwhile. */
        const readers = new Set<{ pending: typeof pending }>();
        let value = 0;
        let next = 0;

        async function read(offset: number, length: number) {
          const before = settled.slice(offset, offset + length);
          const reader = { pending: [...pending] };
          readers.add(reader);
          const got = await target.read(offset, length);
          readers.delete(reader);
          assert.is(got.byteLength, length);
          for (let at = 0; at < length; at++) {
            if (got[at] === before[at]) continue;
            const isExplained = reader.pending.some(
              (change) =>
                change.value === got[at] &&
                change.offset <= offset + at &&
                offset + at < change.offset + change.length,
            );
            assert.ok(isExplained, `byte ${offset + at} is ${got[at]}, it was ${before[at]}`);
          }
        }

        async function change(offset: number, length: number, value: number, act: () => Promise<void>) {
          const entry = { offset, length, value };
          // What two changes of a range at the same time leave is open: one waits for the other, as a file system does.
          while (
            pending.some((other) => other.offset < offset + length && offset < other.offset + other.length)
          ) {
            await clock.sleep(1);
          }
          pending.push(entry);
          for (const reader of readers) reader.pending.push(entry);
          await act();
          pending.splice(pending.indexOf(entry), 1);
          settled.fill(value, offset, offset + length);
        }

        const all: Promise<void>[] = [];
        for (const { after, delay: wanted, kind, range } of operations) {
          await clock.run(clock.sleep(after));
          delay = wanted;
          const { offset, length } = range;
          if (kind === "read") all.push(read(offset, length));
          else if (kind === "hint") all.push(target.cache!(offset, length));
          else if (kind === "flush") all.push(target.flush!());
          else if (kind === "sequential") {
            if (next + 1024 > bytes.length) next = 0;
            all.push(read(next, 1024));
            next += 1024;
          } else if (kind === "trim")
            all.push(change(offset, length, 255, () => target.trim!(offset, length)));
          else if (kind === "zero")
            all.push(change(offset, length, 0, () => target.writeZeroes!(offset, length)));
          else {
            value = (value % 254) + 1;
            const data = new Uint8Array(length).fill(value);
            all.push(change(offset, length, value, () => target.write!(offset, data)));
          }
        }
        await clock.run(Promise.all(all));
        await clock.run(read(0, bytes.length));
        await clock.run(target.close());
        assert.equal(bytes, settled);
      },
    ),
    { numRuns: 300 },
  );
});

tests.run();
