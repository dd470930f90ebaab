import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Ended } from "../../src/streams/ended.ts";
import { type TransformController, transform } from "../../src/streams/transform.ts";
import { collect, failure, isPending, settled, source } from "../bytes.ts";
import { within } from "../harness.ts";

const tests = suite("transform");

/** A layer that passes on what it gets, with its controller and what `over` was called with. */
function passing<T>() {
  let controller!: TransformController<T>;
  const over: unknown[] = [];
  const layer = transform<T, T>({
    start(c) {
      controller = c;
    },
    transform: (chunk, c) => c.enqueue(chunk),
    over: (reason) => over.push(reason),
  });
  return { ...layer, controller, over };
}

tests("chunks pass in order and the end is passed on", async () => {
  const { over, ...layer } = passing<number>();
  assert.equal(await collect(source([1, 2, 3]).pipeThrough(layer)), [1, 2, 3]);
  assert.equal(over, [undefined]);
});

tests("flush() may still hand on chunks", async () => {
  const layer = transform<number, number>({
    transform: (chunk, controller) => controller.enqueue(chunk),
    flush: (controller) => controller.enqueue(99),
  });
  assert.equal(await collect(source([1]).pipeThrough(layer)), [1, 99]);
});

tests("what transform() or flush() throws fails both sides", async () => {
  const reason = new Error("no");
  for (const work of [
    { transform: () => Promise.reject(reason) },
    {
      transform() {
        throw reason;
      },
    },
    {
      transform() {},
      flush() {
        throw reason;
      },
    },
  ]) {
    const layer = transform<number, number>(work);
    const piped = failure(source([1]).pipeTo(layer.writable));
    assert.is(await failure(collect(layer.readable)), reason);
    assert.is(await piped, reason);
  }
});

tests("a write settles only when the consumer has made room", async () => {
  const { readable, writable } = passing<number>();
  const writer = writable.getWriter();
  const first = writer.write(1);
  assert.ok(await isPending(first));
  const reader = readable.getReader();
  await reader.read();
  await within(1000, "the write", first);
});

tests("end() from within: what is queued is read, the end is clean, the writer is told Ended", async () => {
  const { readable, writable, controller, over } = passing<number>();
  const writer = writable.getWriter();
  const written = failure(writer.write(1));
  await settled();
  controller.end();
  controller.end();
  assert.equal(await collect(readable), [1]);
  assert.not(await isPending(written), "the write in flight does not hang");
  assert.instance(await failure(writer.write(2)), Ended);
  assert.instance(await failure(writer.closed), Ended);
  assert.equal(over, [undefined]);
});

tests("fail() fails both sides and drops what is queued", async () => {
  const { readable, writable, controller, over } = passing<number>();
  const writer = writable.getWriter();
  const reason = new Error("broken");
  writer.write(1).catch(() => {});
  await settled();
  controller.fail(reason);
  const got: number[] = [];
  assert.is(await failure(collect(readable, got)), reason);
  assert.equal(got, []);
  assert.is(await failure(writer.write(2)), reason);
  assert.equal(over, [reason]);
  controller.enqueue(3); // nobody there any more: ignored
});

tests("an abort with Ended closes the readable after what is queued", async () => {
  const { readable, writable, over } = passing<number>();
  const writer = writable.getWriter();
  writer.write(1).catch(() => {});
  await settled();
  await within(1000, "the abort", writer.abort(new Ended()));
  assert.equal(await collect(readable), [1]);
  assert.equal(over, [undefined]);
});

tests("an abort while a write waits for a consumer that never comes does not hang", async () => {
  const { readable, writable } = passing<number>();
  const writer = writable.getWriter();
  const reason = new Error("enough");
  const written = writer.write(1).catch(() => {});
  assert.ok(await isPending(written));
  await within(1000, "the abort", writer.abort(reason));
  await within(1000, "the write", written);
  assert.is(await failure(collect(readable)), reason);
});

tests("an abort without a reason is a failure too", async () => {
  const { readable, writable } = passing<number>();
  await writable.abort();
  assert.match((await failure(collect(readable))).message, /the writer aborted/);
});

tests(
  "cancel: the write in flight ends and the writer is told the reason, Ended where there is none",
  async () => {
    for (const reason of [new Error("enough"), undefined]) {
      const { readable, writable, over } = passing<number>();
      const writer = writable.getWriter();
      const written = writer.write(1).catch(() => {});
      await settled();
      await readable.cancel(reason);
      await within(1000, "the write", written);
      const told = await failure(writer.write(2));
      if (reason) assert.is(told, reason);
      else assert.instance(told, Ended);
      assert.equal(over, [reason]);
    }
  },
);

tests("taken() waits until what was handed on has been taken, or nobody is there any more", async () => {
  for (const way of ["read", "cancel", "abort"]) {
    const steps: string[] = [];
    const { readable, writable } = transform<number, number>({
      async transform(chunk, controller) {
        controller.enqueue(chunk);
        await controller.taken();
        steps.push("taken");
      },
    });
    const writer = writable.getWriter();
    const written = writer.write(1).catch(() => {});
    await settled();
    assert.equal(steps, []);
    if (way === "read") assert.is((await readable.getReader().read()).value, 1);
    else if (way === "cancel") await readable.cancel();
    else writer.abort().catch(() => {});
    await within(1000, way, written);
    assert.equal(steps, ["taken"]);
  }
});

tests.run();
