import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as assert from "uvu/assert";
import { Errno, ExportError, GivenUpError, GoneError } from "../../../src/export/error.ts";
import { memoryExport } from "../../../src/export/memory.ts";
import { UnflushedMemory } from "../../../src/export/resume/unflushed-memory.ts";
import { Ended } from "../../../src/streams/ended.ts";
import { failure, isPending, sequence, settled } from "../../bytes.ts";
import { suite } from "../../harness.ts";
import { resumed, StandInLink } from "./stand-in-links.ts";

const tests = suite("resume");
const bytes = (value: number, length = 512) => new Uint8Array(length).fill(value);

tests("what has no answer when the link is lost is asked for again on the next one", async () => {
  const first = new StandInLink();
  const { disk, states, asked, open } = resumed(first);
  const calls = [disk.read(0, 512), disk.write!(512, bytes(1)), disk.extents!(0, 4096), disk.flush!()];
  const wanted = ["read 512 at 0", "write 512 at 512", "extents 4096 at 0", "flush"];
  assert.equal(first.asked, wanted);
  const reason = new Error("the cable was cut");
  first.lose(reason);
  await settled();
  assert.equal([asked.length, asked[0]!.end], [1, { error: reason }]);
  const later = disk.read(1024, 512);
  const second = new StandInLink();
  open(second);
  await settled();
  assert.equal(second.asked.sort(), [...wanted, "read 512 at 1024"].sort());
  for (const _ of [...second.calls]) second.answer();
  await Promise.all([...calls, later]);
  assert.equal(states, [false, true]);
  assert.equal([first.closed, second.closed], [1, 0]);
  await disk.close();
  assert.equal([first.closed, second.closed], [1, 1]);
  await disk.ended;
});

tests("what fails because the link is gone waits, also before the link says that it is over", async () => {
  let calls = 0;
  const gone = { read: () => Promise.reject(new GoneError(`gone ${++calls}`)) };
  const first = new StandInLink({ changes: gone });
  const { disk, open } = resumed(first);
  const read = disk.read(0, 512);
  await settled();
  open(new StandInLink({ bytes: sequence(4096), isPrompt: true }));
  assert.equal(await read, sequence(512));
  assert.equal([calls, first.closed], [1, 1]);
});

tests("a server that shuts down is as good as gone", async () => {
  const first = new StandInLink();
  const { disk, open } = resumed(first);
  const write = disk.write!(0, bytes(1));
  first.answer(new ExportError(Errno.ESHUTDOWN, "the server is shutting down"));
  await settled();
  open(new StandInLink({ isPrompt: true }));
  await write;
});

tests("an error of the server is passed on, and the link stays", async () => {
  const first = new StandInLink();
  const { disk, asked, states } = resumed(first);
  const reason = new ExportError(Errno.EIO, "the server answered EIO");
  for (const call of [disk.read(0, 512), disk.write!(0, bytes(1)), disk.flush!(), disk.extents!(0, 1)]) {
    first.answer(reason);
    assert.is(await failure(call), reason);
  }
  assert.equal([asked, states, disk.isWhole], [[], [], true]);
});

tests("changes of the same bytes wait for each other, others and reads do not", async () => {
  const first = new StandInLink();
  const { disk } = resumed(first);
  const changes = [
    disk.write!(0, bytes(1, 1024)),
    disk.trim!(512, 1024),
    disk.writeZeroes!(1536, 512, { noHole: true, fast: true }),
    disk.write!(1024, bytes(2, 1024)),
  ];
  void disk.read(0, 512);
  assert.equal(first.asked, ["write 1024 at 0", "zeroes 512 at 1536 no hole fast", "read 512 at 0"]);
  assert.ok(disk.unflushed(1024, 1));
  first.answer();
  await settled();
  assert.equal(first.asked.at(-1), "trim 1024 at 512");
  first.answer();
  await settled();
  assert.is(first.asked.length, 2);
  first.calls.at(-1)!.answer(new ExportError(Errno.EIO, "no"));
  assert.is((await failure(changes[1]!)).message, "no");
  await settled();
  assert.equal(first.asked.at(-1), "write 1024 at 1024");
});

tests("a signal cancels what waits: for a link, for an earlier change, for room", async () => {
  const first = new StandInLink();
  const { disk, open } = resumed(first, { held: { calls: 3, bytes: 1 << 20 } });
  const aborting = new AbortController();
  const { signal } = aborting;
  const reason = new Error("not needed any more");
  first.lose();
  await settled();
  const kept = disk.write!(0, bytes(1));
  const waiting = [
    disk.write!(0, bytes(2), { signal }),
    disk.read(0, 512, { signal }),
    disk.read(512, 512, { signal }),
    disk.write!(0, bytes(3), { signal }),
  ];
  const last = disk.write!(0, bytes(4));
  aborting.abort(reason);
  for (const call of waiting) assert.is(await failure(call), reason);
  const disk1 = new Uint8Array(4096);
  open(new StandInLink({ bytes: disk1, isPrompt: true }));
  await Promise.all([kept, last]);
  assert.equal(disk1.subarray(0, 512), bytes(4));
});

tests("an earlier change that is given up does not let a later one past the one before", async () => {
  const first = new StandInLink();
  const { disk } = resumed(first);
  const aborting = new AbortController();
  const one = disk.write!(0, bytes(1));
  const two = disk.write!(0, bytes(2), { signal: aborting.signal });
  const three = disk.write!(0, bytes(3));
  aborting.abort(new Error("given up"));
  assert.is((await failure(two)).message, "given up");
  await settled();
  assert.equal(first.asked, ["write 512 at 0"]);
  first.answer();
  await one;
  await settled();
  assert.equal(first.asked, ["write 512 at 0"]);
  first.answer();
  await three;
});

tests("more than it may hold waits until there is room; nothing fails", async () => {
  const first = new StandInLink();
  const { disk, open } = resumed(first, { held: { calls: 4, bytes: 1024 } });
  first.lose();
  await settled();
  const reads = Array.from({ length: 10 }, (_, i) => disk.read(i * 10, 10));
  const large = disk.read(0, 2000);
  const second = new StandInLink();
  open(second);
  await settled();
  assert.is(second.asked.length, 4);
  for (let i = 0; i < 10; i++) {
    assert.ok(!second.asked.includes("read 2000 at 0"));
    second.answer();
    await settled();
  }
  await Promise.all(reads);
  assert.equal(second.asked, ["read 2000 at 0"]);
  second.answer();
  await large;
});

tests(
  "what was acknowledged and not flushed is made again where it may be lost, before anything else",
  async () => {
    const first = new StandInLink({ isPrompt: true });
    const { disk, open } = resumed(first);
    await disk.write!(0, bytes(1, 2048));
    await disk.trim!(0, 512);
    await disk.writeZeroes!(512, 512, { noHole: true, fast: true });
    await disk.write!(3072, bytes(2), { fua: true });
    assert.equal(
      [0, 1024, 2048, 3072].map((at) => disk.unflushed(at, 512)),
      [true, true, false, false],
    );
    first.lose();
    await settled();
    const read = disk.read(0, 2048);
    const second = new StandInLink({ incarnation: "two" });
    open(second);
    await settled();
    const wanted = ["trim 512 at 0", "zeroes 512 at 512 no hole", "write 1024 at 1024"];
    assert.equal(second.asked, wanted);
    second.answer();
    second.answer();
    second.lose();
    await settled();
    const content = new Uint8Array(4096).fill(9);
    const third = new StandInLink({ bytes: content, incarnation: "two" });
    open(third);
    await settled();
    assert.equal(third.asked, wanted, "from the start again");
    for (let i = 0; i < 3; i++) third.answer();
    await settled();
    assert.equal(third.asked, ["read 2048 at 0"]);
    third.answer();
    assert.equal(await read, content.slice(0, 2048));
    assert.equal([...content.subarray(1022, 1026)], [0, 0, 1, 1]);
    third.lose();
    await settled();
    const fourth = new StandInLink({ incarnation: "two" });
    open(fourth);
    const flush = disk.flush!();
    await settled();
    assert.equal(fourth.asked, ["flush"], "the server has it, so nothing is sent again");
    fourth.answer();
    await flush;
    assert.not.ok(disk.unflushed(0, 4096));
  },
);

tests("half way through, no incarnation has everything; one that is not told never has", async () => {
  const first = new StandInLink({ isPrompt: true });
  const { disk, open } = resumed(first);
  await disk.write!(0, bytes(1));
  first.lose();
  await settled();
  const second = new StandInLink({ incarnation: "two" });
  open(second);
  await settled();
  second.lose();
  await settled();
  for (const incarnation of ["one", undefined, undefined]) {
    const next = new StandInLink({ incarnation });
    open(next);
    await settled();
    assert.equal(next.asked, ["write 512 at 0"]);
    next.answer();
    await settled();
    next.lose();
    await settled();
  }
});

tests("a change that is stable takes out what is older, and only that", async () => {
  const first = new StandInLink({ isPrompt: true });
  const { disk, open } = resumed(first);
  await disk.write!(0, bytes(1, 1536));
  await disk.write!(512, bytes(2), { fua: true });
  first.lose();
  await settled();
  const second = new StandInLink({ incarnation: "two" });
  open(second);
  await settled();
  assert.equal(second.asked, ["write 512 at 0", "write 512 at 1024"]);
});

tests("without memory a change is acknowledged after a flush that began after it", async () => {
  const first = new StandInLink();
  const { disk, open } = resumed(first, { memory: new UnflushedMemory(0) });
  const one = disk.write!(0, bytes(1));
  first.answer();
  await settled();
  assert.equal(first.asked, ["flush"]);
  const two = disk.write!(512, bytes(2));
  const three = disk.write!(1024, bytes(3));
  first.calls.splice(1).forEach(({ answer }) => void answer());
  await settled();
  assert.equal(first.asked, ["flush"], "two others wait for the next flush");
  first.answer();
  await one;
  await settled();
  assert.equal(first.asked, ["flush"]);
  assert.ok((await isPending(two)) && (await isPending(three)));
  first.lose();
  await settled();
  const second = new StandInLink({ incarnation: "two" });
  open(second);
  await settled();
  assert.equal(second.asked, ["write 512 at 512", "write 512 at 1024"], "it may be lost");
  second.answer();
  await settled();
  second.calls.splice(1).forEach(({ answer }) => void answer());
  second.calls.splice(0, 1)[0]!.answer();
  await settled();
  while (second.calls.length > 0) {
    second.answer();
    await settled();
  }
  await Promise.all([two, three]);
});

tests("an answer of an earlier link says nothing of a change", async () => {
  const first = new StandInLink();
  const { disk, open } = resumed(first);
  const write = disk.write!(0, bytes(1));
  const [late] = first.calls.splice(0);
  first.lose();
  await settled();
  const second = new StandInLink({ incarnation: "two" });
  open(second);
  await settled();
  assert.equal(second.asked, []);
  late!.answer();
  await settled();
  assert.equal(second.asked, ["write 512 at 0"]);
  assert.ok(await isPending(write));
});

tests("nor does a flush of an earlier link, of a change that it came after", async () => {
  const first = new StandInLink();
  // Room for one piece of one byte.
  const { disk, open } = resumed(first, { memory: new UnflushedMemory(513) });
  const one = disk.write!(0, bytes(1, 1));
  first.answer();
  await one;
  first.answer(); // memory is short: it flushed by itself
  await settled();
  const two = disk.write!(1, bytes(2, 1));
  first.answer();
  await two;
  const [ofItself] = first.calls.splice(0);
  assert.is(ofItself!.words, "flush");
  const three = disk.write!(1, bytes(3, 2));
  first.answer();
  await settled();
  ofItself!.answer(new GoneError("late"));
  await settled();
  first.lose();
  await settled();
  const second = new StandInLink({ incarnation: "two" });
  open(second);
  await settled();
  assert.equal(second.asked, ["write 1 at 1"]);
  second.answer();
  await settled();
  assert.equal(second.asked, ["write 2 at 1"]);
  assert.ok(await isPending(three));
});

tests("when half of the memory is taken, those who hold most of it flush by themselves, once", async () => {
  const memory = new UnflushedMemory(8192);
  const idle = new StandInLink({ isPrompt: true });
  const other = resumed(idle, { memory }).disk;
  await other.write!(0, bytes(1));
  const first = new StandInLink();
  const { disk } = resumed(first, { memory });
  for (let i = 0; i < 6; i++) {
    const write = disk.write!(i * 512, bytes(i));
    first.calls.pop()!.answer();
    await write;
  }
  assert.equal(first.asked, ["flush"]);
  assert.ok(other.unflushed(0, 512));
  const held = memory.used;
  first.answer();
  await settled();
  assert.ok(memory.used < held / 2);
});

tests("memory that others hold while they wait for a link stops nobody", async () => {
  const memory = new UnflushedMemory(2048);
  const first = new StandInLink({ isPrompt: true });
  const waiting = resumed(first, { memory });
  await waiting.disk.write!(0, bytes(1, 1024));
  first.lose();
  await settled();
  const content = new Uint8Array(4096);
  const { disk } = resumed(new StandInLink({ bytes: content, isPrompt: true }), { memory });
  for (let i = 0; i < 8; i++) await disk.write!(i * 512, bytes(i));
  assert.is(content[4095], 7);
  await waiting.disk.close();
  await disk.close();
  assert.is(memory.used, 0);
});

const refused = (what: string) => () => Promise.reject(new ExportError(Errno.EIO, what));

tests(
  "where it cannot be made again nothing is changed any more, reads go on, and a line says so",
  async () => {
    const first = new StandInLink({ isPrompt: true });
    const { disk, open, lines, states } = resumed(first);
    await disk.write!(0, bytes(1));
    first.lose();
    await settled();
    const held = disk.write!(512, bytes(2));
    open(
      new StandInLink({
        incarnation: "two",
        isPrompt: true,
        changes: { write: refused("the disk is full") },
      }),
    );
    const calls = [held, disk.flush!(), disk.trim!(0, 512), disk.write!(0, bytes(1), { fua: true })];
    for (const call of calls) {
      const error = (await failure(call)) as ExportError;
      assert.equal([error.errno, error.name], [Errno.EIO, "ExportError"]);
      assert.match(error.message, /may be lost, so nothing is written or flushed any more; reads go on$/);
    }
    assert.is(disk.isWhole, false);
    assert.ok(disk.unflushed(0, 512), "what may be lost stays known");
    assert.equal(await disk.read(0, 1), bytes(0, 1));
    assert.is(lines.length, 1);
    assert.match(lines[0]!, /^what was written last may be lost, .*reads go on: .*the disk is full$/);
    assert.equal(states, [false, true]);
  },
);

tests("without flush nothing is kept; after a new start changes fail, if there were any", async () => {
  for (const isChanged of [false, true]) {
    const memory = new UnflushedMemory();
    const first = new StandInLink({ isPrompt: true, changes: { flush: undefined } });
    const { disk, open, lines } = resumed(first, { memory });
    if (isChanged) await disk.write!(0, bytes(1));
    assert.is(memory.used, 0);
    const again = new StandInLink({ isPrompt: true });
    first.lose();
    await settled();
    open(again);
    await settled();
    assert.equal([disk.isWhole, lines], [true, []], "the same start has everything");
    again.lose();
    await settled();
    open(new StandInLink({ isPrompt: true, incarnation: "two" }));
    await settled();
    assert.is(disk.isWhole, !isChanged);
    const write = disk.write!(0, bytes(2));
    if (isChanged) assert.match((await failure(write)).message, /may be lost/);
    else await write;
    assert.is(lines.length, isChanged ? 1 : 0);
    await disk.close();
  }
});

tests("a flush of its own that has failed is not silent: the next ones fail", async () => {
  const first = new StandInLink();
  const { disk, lines } = resumed(first, { memory: new UnflushedMemory(1500) });
  const one = disk.write!(0, bytes(1));
  first.answer();
  await one;
  assert.equal(first.asked, ["flush"]);
  first.answer(new ExportError(Errno.EIO, "no space is left"));
  await settled();
  assert.match((await failure(disk.flush!())).message, /may be lost/);
  assert.match(lines.join(), /a flush has failed: no space is left$/);
});

tests("when there is no other link all that waits fails, and all that comes", async () => {
  const first = new StandInLink();
  const { disk, giveUp, states } = resumed(first, { held: { calls: 2, bytes: 4096 } });
  const outstanding = disk.write!(0, bytes(1));
  first.end();
  await settled();
  const waiting = [outstanding, disk.write!(0, bytes(2)), disk.read(0, 512), disk.flush!()];
  const reason = new Error("nobody came back in 300 s");
  giveUp(reason);
  for (const call of [...waiting, disk.read(0, 1), disk.extents!(0, 1)]) {
    const error = await failure(call);
    assert.ok(error instanceof GivenUpError && error.errno === Errno.EIO, error.message);
    assert.is(error.message, "the disk has no link any more: nobody came back in 300 s");
    assert.is(error.cause, reason);
  }
  await disk.cache!(0, 512);
  assert.is(await failure(disk.ended), reason);
  assert.equal([states, first.closed], [[false], 1]);
  await disk.close();
});

tests("an end in order is no failure", async () => {
  const first = new StandInLink();
  const { disk, asked, giveUp } = resumed(first);
  first.end();
  await settled();
  assert.is(asked[0]!.end, undefined);
  giveUp(new Ended("ejected"));
  await disk.ended;
  assert.ok((await failure(disk.read(0, 1))) instanceof GivenUpError);
});

tests("close() while it waits for a link gives that up, and closes one that comes all the same", async () => {
  const memory = new UnflushedMemory();
  const first = new StandInLink({ isPrompt: true });
  const late = new StandInLink();
  let come!: () => void;
  let wanted: AbortSignal | undefined;
  const { disk } = resumed(first, {
    memory,
    open: (_end, signal) => {
      wanted = signal;
      return new Promise((resolve) => {
        come = () => resolve(late.opened);
      });
    },
  });
  await disk.write!(0, bytes(1));
  first.lose();
  await settled();
  const read = disk.read(0, 1);
  const closing = disk.close();
  assert.ok((await failure(read)) instanceof GivenUpError);
  assert.ok(wanted!.aborted);
  come();
  await closing;
  await disk.ended;
  assert.equal([late.closed, memory.used], [1, 0]);
});

tests("close() while what may be lost is sent again ends that", async () => {
  const first = new StandInLink({ isPrompt: true });
  const { disk, open } = resumed(first);
  await disk.write!(0, bytes(1));
  first.lose();
  await settled();
  const second = new StandInLink({ incarnation: "two" });
  open(second);
  await settled();
  assert.equal(second.asked, ["write 512 at 0"]);
  await disk.close();
  assert.is(second.closed, 1);
});

tests("a link whose export is not the same is closed, and is the end, in words", async () => {
  const cases: [ConstructorParameters<typeof StandInLink>[0], RegExp][] = [
    [{ bytes: new Uint8Array(100) }, /it has 100 bytes in place of 4096$/],
    [{ changes: { write: undefined } }, /it has no write\(\)$/],
    [{ changes: { extents: undefined } }, /it has no extents\(\)$/],
    [
      { changes: { blockSize: { minimum: 512, preferred: 4096, maximum: 1 << 20 } } },
      /its blocks have 512 bytes in place of 1$/,
    ],
  ];
  for (const [settings, words] of cases) {
    const first = new StandInLink();
    const { disk, open } = resumed(first);
    first.lose();
    await settled();
    const read = disk.read(0, 1);
    const second = new StandInLink(settings);
    open(second);
    assert.match((await failure(disk.ended)).message, words);
    assert.match((await failure(read)).message, words);
    assert.is(second.closed, 1);
  }
});

tests("hints and known extents do not wait for a link", async () => {
  const zeroes = [{ length: 512, hole: true, zero: true }];
  const first = new StandInLink({ isPrompt: true, changes: { knownExtents: () => zeroes } });
  const { disk, asked } = resumed(first);
  assert.is(await disk.knownExtents!(0, 512), zeroes);
  await disk.cache!(0, 512);
  first.lose();
  await settled();
  assert.is(asked.length, 1);
  await disk.cache!(0, 512);
  assert.equal(await disk.knownExtents!(0, 512), [{ length: 512, hole: false, zero: false }]);
});

tests("what the first export lacks it lacks too", async () => {
  const {
    write: _write,
    trim: _trim,
    writeZeroes: _zeroes,
    flush: _flush,
    ...readable
  } = memoryExport(bytes(1));
  const ended = new Promise<void>(() => {});
  const { resume } = await import("../../../src/export/resume/resume.ts");
  const disk = resume(
    { target: { ...readable, close: async () => {} }, ended, incarnation: undefined },
    { log: () => {}, open: () => new Promise(() => {}) },
  );
  for (const name of ["write", "trim", "writeZeroes", "flush", "cache", "extents", "knownExtents"] as const) {
    assert.not.ok(name in disk, name);
  }
});

/** Bytes in use once everything that nobody holds is gone. */
async function inUse(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  for (let i = 0; i < 3; i++) {
    await settled();
    collect();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

tests("10,000 links leave nothing behind", async () => {
  const memory = new UnflushedMemory();
  let link = new StandInLink({ isPrompt: true });
  let next = link;
  const { disk, states } = resumed(link, { memory, open: async () => next.opened });
  const changeLink = async (i: number) => {
    await disk.write!(0, bytes(i & 255));
    next = new StandInLink({ isPrompt: true, incarnation: `start ${i}` });
    link.lose();
    link = next;
    await disk.read(0, 1);
  };
  for (let i = 0; i < 100; i++) await changeLink(i);
  const before = await inUse();
  for (let i = 0; i < 10_000; i++) await changeLink(i);
  // A link that stayed would be some KiB, and its listeners.
  const grown = (await inUse()) - before;
  assert.ok(grown < 2 << 20, `${grown} bytes`);
  assert.is(states.length, 20_200);
  assert.is(memory.used, 1024, "one write is kept");
  await disk.flush!();
  assert.is(memory.used, 0);
  await disk.close();
});

tests("100,000 calls that were given up while there is no link leave nothing behind", async () => {
  const first = new StandInLink();
  const { disk } = resumed(first, { held: { calls: 3, bytes: 1 << 20 } });
  first.lose();
  await settled();
  const kept = [disk.write!(0, bytes(1)), disk.read(0, 1)];
  const data = bytes(2);
  const giveUp = async () => {
    const aborting = new AbortController();
    const { signal } = aborting;
    // One waits for the change before it, the others for room.
    const calls = [
      disk.write!(0, data, { signal }),
      disk.read(0, 1, { signal }),
      disk.trim!(0, 512, { signal }),
      disk.extents!(0, 1, { signal }),
    ];
    aborting.abort();
    await Promise.allSettled(calls);
  };
  for (let i = 0; i < 100; i++) await giveUp();
  const before = await inUse();
  for (let i = 0; i < 25_000; i++) await giveUp();
  const grown = (await inUse()) - before;
  assert.ok(grown < 2 << 20, `${grown} bytes`);
  await disk.close();
  await Promise.allSettled(kept);
});

tests.run();
