import { suite } from "uvu";
import * as assert from "uvu/assert";
import { nextTask } from "../../src/streams/next-task.ts";

const tests = suite("next task");

async function run() {
  const told: string[] = [];
  await new Promise<void>((resolve) => {
    nextTask(() => told.push("first"));
    nextTask(() => {
      told.push("second");
      resolve();
    });
    queueMicrotask(() => told.push("microtask"));
    told.push("now");
  });
  assert.equal(told, ["now", "microtask", "first", "second"]);
}

tests("callbacks come in order, behind what runs and its microtasks", run);

tests("so they do in a browser, which has no setImmediate", async () => {
  const { setImmediate, MessageChannel } = globalThis;
  const channels: MessageChannel[] = [];
  Reflect.deleteProperty(globalThis, "setImmediate");
  globalThis.MessageChannel = class extends MessageChannel {
    constructor() {
      super();
      channels.push(this);
    }
  };
  try {
    await run();
    await run();
    assert.is(channels.length, 1, "one channel does for all");
  } finally {
    Object.assign(globalThis, { setImmediate, MessageChannel });
    for (const { port1 } of channels) port1.close();
  }
});

tests.run();
