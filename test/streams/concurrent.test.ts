import { getEventListeners } from "node:events";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { ByteBudget } from "../../src/streams/budget.ts";
import { concurrent } from "../../src/streams/concurrent.ts";
import { type Deferred, deferred } from "../../src/streams/deferred.ts";
import { Ended } from "../../src/streams/ended.ts";
import { collect, failure, isPending, settled, source } from "../bytes.ts";
import { within } from "../harness.ts";

const tests = suite("concurrent");

/** Work that is done when the test says so. */
function manual() {
  const jobs = new Map<number, Deferred<string | undefined>>();
  const work = (item: number) => {
    const job = deferred<string | undefined>();
    jobs.set(item, job);
    return job.promise;
  };
  return { jobs, work, finish: (item: number) => jobs.get(item)!.resolve(`#${item}`) };
}

tests("items run at once and results come in the order in which they are ready", async () => {
  const { jobs, work, finish } = manual();
  const { readable, writable } = concurrent(work, { limit: 10 });
  const writer = writable.getWriter();
  await writer.write([1, 2, 3]);
  assert.equal([...jobs.keys()], [1, 2, 3]);
  const reader = readable.getReader();
  for (const item of [3, 1, 2]) {
    finish(item);
    assert.equal((await reader.read()).value, [`#${item}`]);
  }
});

tests("what became ready before the consumer asked is one array", async () => {
  const { work, finish } = manual();
  const { readable, writable } = concurrent(work, { limit: 10 });
  await writable.getWriter().write([1, 2, 3]);
  for (const item of [2, 3, 1]) finish(item);
  await settled();
  assert.equal((await readable.getReader().read()).value, ["#2", "#3", "#1"]);
});

tests("what became ready in one turn is one array, also where the consumer waits for it", async () => {
  const { work, finish } = manual();
  const { readable, writable } = concurrent(work, { limit: 10 });
  await writable.getWriter().write([1, 2, 3]);
  const read = readable.getReader().read();
  await settled();
  for (const item of [2, 3, 1]) finish(item);
  assert.equal((await read).value, ["#2", "#3", "#1"]);
});

tests("where several results have been ready at a time, and only there, they wait for more", async () => {
  const { jobs, work, finish } = manual();
  const waiting: (() => void)[] = [];
  const { readable, writable } = concurrent(work, {
    limit: 100,
    later: (callback) => waiting.push(callback),
  });
  const writer = writable.getWriter();
  const reader = readable.getReader();
  const start = async (count: number) => {
    const items = Array.from({ length: count }, (_, i) => jobs.size + i);
    await writer.write(items);
    return items;
  };
  const read = async () => (await reader.read()).value!.length;

  for (let i = 0; i < 20; i++) {
    const [item] = await start(1);
    finish(item!);
    assert.is(await read(), 1);
  }
  assert.is(waiting.length, 0, "a reader who asks one thing after the other does not wait");

  let times = 0;
  let reading = read();
  for (; ; times++) {
    assert.ok(times < 20, "several at a time are not noticed");
    for (const item of await start(4)) finish(item);
    await settled();
    if (waiting.length > 0) break;
    assert.is(await reading, 4);
    reading = read();
  }
  assert.ok(times > 1, "once is no habit");
  for (const item of await start(3)) finish(item);
  assert.ok(await isPending(reading));
  assert.is(waiting.length, 1);
  waiting.pop()!();
  assert.is(await reading, 7, "what became ready while the others waited goes with them");
});

tests("heavy results do not wait", async () => {
  const later = () => assert.unreachable();
  const layer = concurrent(async (n: number) => n, { limit: 100, weight: () => 1 << 15, later });
  const writer = layer.writable.getWriter();
  const reader = layer.readable.getReader();
  for (let i = 0; i < 20; i++) {
    const reading = reader.read();
    await writer.write([1, 2, 3, 4]);
    assert.is((await reading).value!.length, 4);
  }
});

tests("results that wait for more are handed on at the end", async () => {
  const waiting: (() => void)[] = [];
  const later = (callback: () => void) => void waiting.push(callback);
  const layer = concurrent(async (n: number) => n, { limit: 100, later });
  const writer = layer.writable.getWriter();
  const got: number[] = [];
  const reading = layer.readable.pipeTo(
    new WritableStream({ write: (results: number[]) => void got.push(...results) }),
  );
  const items = Array.from({ length: 20 }, () => [1, 2, 3, 4]);
  for (const four of items) {
    await writer.write(four);
    await settled();
  }
  assert.ok(waiting.length > 0);
  assert.ok(got.length < 80, `${got.length} were handed on without waiting`);
  await within(1000, "the end", writer.close());
  await reading;
  assert.is(got.length, 80);
  for (const callback of waiting) callback();
});

for (const end of ["cancel", "abort"] as const) {
  tests(`a ${end} while results wait gives back all room, and the callback comes to nothing`, async () => {
    const waiting: (() => void)[] = [];
    const room = new ByteBudget(1000);
    const layer = concurrent(async (n: number) => n, {
      limit: 100,
      room: room.share(1000),
      weight: () => 1,
      later: (callback) => void waiting.push(callback),
    });
    const writer = layer.writable.getWriter();
    const reader = layer.readable.getReader();
    while (waiting.length === 0) {
      const reading = reader.read().catch(() => {});
      await writer.write([1, 2, 3, 4]);
      await settled();
      if (waiting.length === 0) await reading;
    }
    assert.ok(room.used > 0);
    if (end === "cancel") await reader.cancel();
    else await writer.abort(new Error("enough"));
    assert.is(room.used, 0);
    for (const callback of waiting) callback();
    writer.closed.catch(() => {});
    reader.closed.catch(() => {});
  });
}

tests("an array is closed at chunkWeight, with one result at least", async () => {
  const layer = concurrent(async (n: number) => n, { limit: 10, weight: (n) => n, chunkWeight: 10 });
  const writer = layer.writable.getWriter();
  await writer.write([4, 6, 1, 50, 2]);
  writer.close().catch(() => {});
  await settled();
  assert.equal(await collect(layer.readable), [[4, 6], [1], [50], [2]]);
});

tests("an undefined result leaves no trace", async () => {
  const layer = concurrent(async (n: number) => (n % 2 ? n : undefined), { limit: 1 });
  assert.equal((await collect(source([[1, 2, 3], [4], [], [5]]).pipeThrough(layer))).flat(), [1, 3, 5]);
});

for (const chunk of [1, 3, 100]) {
  tests(`never more than the limit at once, ${chunk} items a chunk`, async () => {
    let running = 0;
    let most = 0;
    const items = Array.from({ length: 100 }, (_, i) => i);
    const chunks: number[][] = [];
    for (let at = 0; at < 100; at += chunk) chunks.push(items.slice(at, at + chunk));
    const layer = concurrent(
      async (n: number) => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        return n;
      },
      { limit: 7 },
    );
    const got = (await collect(source(chunks).pipeThrough(layer))).flat();
    assert.equal(
      got.sort((a, b) => a - b),
      items,
    );
    assert.is(most, 7);
  });
}

tests("backpressure: a consumer that stops reading stops the work at the limit", async () => {
  const started: number[] = [];
  const { readable, writable } = concurrent(
    async (n: number) => {
      started.push(n);
      return n;
    },
    { limit: 4 },
  );
  const items = Array.from({ length: 20 }, (_, i) => i);
  const written = writable.getWriter().write(items);
  await settled();
  assert.is(started.length, 4);
  const reader = readable.getReader();
  await reader.read();
  await settled();
  assert.is(started.length, 4, "the consumer may still have what it took");
  const got = [...(await reader.read()).value!];
  await settled();
  assert.is(started.length, 8);
  while (got.length < 16) got.push(...(await reader.read()).value!);
  await within(1000, "the write", written);
});

tests("room is held from the start of an item until the consumer asks for more", async () => {
  const budget = new ByteBudget(100);
  const { work, finish, jobs } = manual();
  const layer = concurrent(work, { limit: 10, room: budget.share(100), weight: (n) => n });
  const writer = layer.writable.getWriter();
  const written = writer.write([60, 40, 30]);
  await settled();
  assert.equal([...jobs.keys()], [60, 40]);
  assert.is(budget.used, 100);
  finish(60);
  assert.ok(await isPending(written), "ready but not taken");
  assert.is(budget.used, 100);
  const reader = layer.readable.getReader();
  assert.equal((await reader.read()).value, ["#60"]);
  assert.ok(await isPending(written), "taken, but perhaps not dealt with");
  const next = reader.read();
  await within(1000, "the write", written);
  assert.equal([...jobs.keys()], [60, 40, 30]);
  assert.is(budget.used, 70);
  finish(40);
  await next;
  finish(30);
  const last = reader.read();
  await settled();
  reader.read().catch(() => {});
  await last;
  await settled();
  assert.is(budget.used, 0);
});

tests("a close finishes what is in flight before the end", async () => {
  const { work, finish } = manual();
  const { readable, writable } = concurrent(work, { limit: 10 });
  const writer = writable.getWriter();
  await writer.write([1, 2]);
  await within(1000, "the close", writer.close());
  const got = collect(readable);
  assert.ok(await isPending(got));
  finish(2);
  assert.ok(await isPending(got));
  finish(1);
  assert.equal((await got).flat(), ["#2", "#1"]);
});

tests("an abort with Ended finishes what is in flight, then closes", async () => {
  const budget = new ByteBudget(100);
  const { work, finish } = manual();
  const { readable, writable } = concurrent(work, { limit: 10, room: budget.share(100), weight: () => 10 });
  const writer = writable.getWriter();
  await writer.write([1, 2]);
  finish(1);
  await within(1000, "the abort", writer.abort(new Ended()));
  const got = collect(readable);
  finish(2);
  assert.equal((await got).flat(), ["#1", "#2"]);
  assert.is(budget.used, 0);
});

tests("an abort with Ended while a write waits for the limit: what was written is finished too", async () => {
  const { work, finish, jobs } = manual();
  const { readable, writable } = concurrent(work, { limit: 1 });
  const writer = writable.getWriter();
  const written = writer.write([1, 2]);
  await settled();
  const aborted = writer.abort(new Ended());
  const got = collect(readable);
  finish(1);
  await settled();
  assert.equal([...jobs.keys()], [1, 2]);
  finish(2);
  assert.equal((await within(1000, "the end", got)).flat(), ["#1", "#2"]);
  await within(1000, "the abort", aborted);
  await written;
});

tests("work that rejects fails both sides and gives back all room", async () => {
  const budget = new ByteBudget(100);
  const { work, jobs } = manual();
  const layer = concurrent(work, { limit: 3, room: budget.share(100), weight: () => 10 });
  const writer = layer.writable.getWriter();
  const written = failure(writer.write([1, 2, 3, 4]));
  await settled();
  jobs.get(1)!.resolve("ready, never taken");
  await settled();
  const reason = new Error("broken");
  jobs.get(2)!.reject(reason);
  assert.is(await failure(collect(layer.readable)), reason);
  assert.is(await within(1000, "the write", written), reason);
  assert.is(budget.used, 10, "item 3 is still running");
  jobs.get(3)!.resolve("late");
  await settled();
  assert.is(budget.used, 0);
  assert.equal([...jobs.keys()], [1, 2, 3], "nothing is started any more");
});

for (const way of ["abort", "cancel", "cancel without a reason"] as const) {
  tests(`${way}: a write that waits for room is let go, and no room is left behind`, async () => {
    const budget = new ByteBudget(100);
    const { work, finish } = manual();
    const layer = concurrent(work, { limit: 10, room: budget.share(100), weight: () => 60 });
    const writer = layer.writable.getWriter();
    const written = failure(writer.write([1, 2]));
    await settled();
    const reason = new Error("enough");
    if (way === "abort") writer.abort(reason).catch(() => {});
    else await layer.readable.cancel(way === "cancel" ? reason : undefined);
    finish(1);
    const told = await within(1000, "the write", written);
    if (way === "cancel without a reason") assert.instance(told, Ended);
    else assert.is(told, reason);
    await settled();
    assert.is(budget.used, 0);
  });
}

tests("a failure before anything was read is seen by the reader that comes late", async () => {
  const { readable, writable } = concurrent(() => Promise.reject(new Error("broken")), { limit: 1 });
  writable
    .getWriter()
    .write([1])
    .catch(() => {});
  await settled();
  assert.is((await failure(collect(readable))).message, "broken");
});

/** Items that are the characters of chunks of text, of which "." is the last one and "!" is none. */
function characters(admission?: Promise<void>) {
  let left: string[] = [];
  let isOver = false;
  return {
    push(chunk: string) {
      left.push(...chunk);
    },
    take() {
      const value = isOver ? undefined : left.shift();
      if (value === "!") throw new Error("what is this");
      isOver ||= value === ".";
      return value === undefined ? undefined : { value };
    },
    get isOver() {
      return isOver;
    },
    admit: () => admission,
    end() {
      if (left.length > 0) throw new Error("it ended too soon");
      left = [];
    },
  };
}

const upper = async (character: string) => (character === "." ? undefined : character.toUpperCase());

tests("items are taken out of chunks, and results are handed on in chunks of another kind", async () => {
  const emit = (results: string[], enqueue: (chunk: string) => void) => {
    for (const result of results) enqueue(`<${result}>`);
  };
  const layer = concurrent(upper, { limit: 2, items: characters(), emit });
  assert.equal(await collect(source(["ab", "", "c"]).pipeThrough(layer)), ["<A>", "<B>", "<C>"]);
});

tests("with the last item it ends, and whoever writes on is told Ended", async () => {
  const layer = concurrent(upper, { limit: 10, items: characters() });
  const writer = layer.writable.getWriter();
  writer.write("ab.c").catch(() => {});
  assert.equal(await collect(layer.readable), [["A", "B"]]);
  assert.instance(await failure(writer.closed), Ended);
});

tests("an item that is none fails both sides, and so does an end too soon", async () => {
  for (const chunks of [["a!b"], ["a", "!"]]) {
    const layer = concurrent(upper, { limit: 10, items: characters() });
    const feeding = failure(source(chunks).pipeTo(layer.writable));
    assert.is((await failure(collect(layer.readable))).message, "what is this");
    assert.is((await feeding).message, "what is this");
  }
  const hungry = { ...characters(), take: () => undefined };
  const layer = concurrent(upper, { limit: 10, items: hungry });
  const feeding = failure(source(["a"]).pipeTo(layer.writable));
  assert.is((await failure(collect(layer.readable))).message, "it ended too soon");
  assert.is((await feeding).message, "it ended too soon");
});

tests("what fails to be handed on fails both sides", async () => {
  const emit = () => {
    throw new Error("no words for it");
  };
  const layer = concurrent(upper, { limit: 10, items: characters(), emit });
  const writer = layer.writable.getWriter();
  writer.write("a").catch(() => {});
  assert.is((await failure(collect(layer.readable))).message, "no words for it");
  assert.is((await failure(writer.closed)).message, "no words for it");
});

tests("the next chunk waits until it is admitted", async () => {
  const admission = deferred<void>();
  const layer = concurrent(upper, { limit: 10, items: characters(admission.promise) });
  const writer = layer.writable.getWriter();
  const written = writer.write("a");
  assert.equal((await layer.readable.getReader().read()).value, ["A"]);
  assert.ok(await isPending(written));
  admission.resolve();
  await written;
});

for (const when of ["while it works", "before it begins"] as const) {
  tests(`a signal with Ended, ${when}: what is in flight is finished, then it ends`, async () => {
    const ending = new AbortController();
    const { work, finish } = manual();
    if (when === "before it begins") ending.abort(new Ended());
    const layer = concurrent(work, { limit: 10, signal: ending.signal });
    const writer = layer.writable.getWriter();
    const told = failure(writer.closed);
    if (when === "while it works") {
      await writer.write([1, 2]);
      ending.abort(new Ended());
      finish(2);
      finish(1);
      assert.equal(await collect(layer.readable), [["#2", "#1"]]);
    } else assert.equal(await collect(layer.readable), []);
    assert.instance(await told, Ended);
    assert.is(getEventListeners(ending.signal, "abort").length, 0);
  });
}

tests("a signal with another reason fails both sides", async () => {
  const ending = new AbortController();
  const layer = concurrent(manual().work, { limit: 10, signal: ending.signal });
  const writer = layer.writable.getWriter();
  await writer.write([1]);
  const reason = new Error("enough");
  ending.abort(reason);
  assert.is(await failure(collect(layer.readable)), reason);
  assert.is(await failure(writer.closed), reason);
  assert.is(getEventListeners(ending.signal, "abort").length, 0);
});

tests("nobody listens to the signal any more once all is done", async () => {
  const ending = new AbortController();
  const layer = concurrent(upper, { limit: 10, items: characters(), signal: ending.signal });
  await collect(source(["ab"]).pipeThrough(layer));
  assert.is(getEventListeners(ending.signal, "abort").length, 0);
});

tests("asked to end while a chunk waits to be admitted: it ends with what is in flight", async () => {
  const ending = new AbortController();
  const items = characters(new Promise(() => {}));
  const layer = concurrent(upper, { limit: 10, items, signal: ending.signal });
  layer.writable
    .getWriter()
    .write("a")
    .catch(() => {});
  const reader = layer.readable.getReader();
  assert.equal((await reader.read()).value, ["A"]);
  ending.abort(new Ended());
  assert.ok((await within(1000, "the end", reader.read())).done);
});

tests("room for what comes next that there will never be: what is in flight is finished", async () => {
  const admission = deferred<void>();
  const layer = concurrent(upper, { limit: 10, items: characters(admission.promise) });
  const written = failure(layer.writable.getWriter().write("a"));
  admission.reject(new Ended("the room was closed"));
  assert.equal(await collect(layer.readable), [["A"]]);
  assert.instance(await written, Ended);
});

tests("a consumer that takes some chunks of a result has not asked for the next one", async () => {
  const budget = new ByteBudget(100);
  let emitted = 0;
  const layer = concurrent(upper, {
    limit: 10,
    items: characters(),
    room: budget.share(100),
    weight: () => 10,
    chunkWeight: 10,
    emit(results: string[], enqueue: (chunk: string) => void) {
      emitted++;
      for (const part of [1, 2, 3]) enqueue(`${results}${part}`);
    },
  });
  const { promise, resolve } = deferred<void>();
  const taken: string[] = [];
  const slow = new WritableStream<string>(
    {
      write(chunk) {
        taken.push(chunk);
        return promise;
      },
    },
    { highWaterMark: 2 },
  );
  const piping = source(["abc"]).pipeThrough(layer).pipeTo(slow);
  await settled();
  assert.is(emitted, 1);
  assert.is(budget.used, 30);
  resolve();
  await piping;
  assert.equal(taken, ["A1", "A2", "A3", "B1", "B2", "B3", "C1", "C2", "C3"]);
  assert.is(budget.used, 0);
});

tests("a consumer that asks for the end while it is given chunks gets all of them", async () => {
  const ending = new AbortController();
  const layer = concurrent(upper, {
    limit: 10,
    items: characters(),
    signal: ending.signal,
    emit(results: string[], enqueue: (chunk: string) => void) {
      for (const part of [1, 2]) enqueue(`${results}${part}`);
    },
  });
  const taken: string[] = [];
  const sink = new WritableStream<string>({
    write(chunk) {
      taken.push(chunk);
      ending.abort(new Ended());
    },
  });
  const piping = layer.readable.pipeTo(sink);
  layer.writable
    .getWriter()
    .write("a")
    .catch(() => {});
  await piping;
  assert.equal(taken, ["A1", "A2"]);
});

tests.run();
