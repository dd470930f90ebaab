import { createConnection, createServer } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { deadline } from "../../src/streams/deadline.ts";
import { until } from "../harness.ts";

const tests = suite("deadline");

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Keeps this thread from running, as a process is that was stopped. */
function stopFor(milliseconds: number) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

tests("it passes once, and not when it was called off", async () => {
  const passed: string[] = [];
  deadline(20, () => passed.push("first"));
  const callOff = deadline(20, () => passed.push("second"));
  callOff();
  callOff();
  await until("it passes", () => passed.length > 0);
  await sleep(50);
  assert.equal(passed, ["first"]);
});

tests("it can be called off between its timer and its verdict", async () => {
  let isPassed = false;
  const callOff = deadline(20, () => {
    isPassed = true;
  });
  // Set later and due at the same time, so it runs in the same turn, before the verdict.
  setTimeout(callOff, 20);
  stopFor(50);
  await sleep(50);
  assert.not(isPassed);
});

for (const [what, milliseconds] of [
  ["a short stop", 200],
  ["a stop of more than a second", 1300],
] as const) {
  tests(`what came during ${what} is read before it passes`, async () => {
    const told: string[] = [];
    const server = createServer((socket) => socket.end("the answer"));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const socket = createConnection(port, "127.0.0.1");
    await new Promise((resolve) => socket.once("connect", resolve));
    const callOff = deadline(100, () => told.push("passed"));
    const heard = new Promise<void>((resolve) =>
      socket.once("data", () => {
        told.push("heard");
        callOff();
        resolve();
      }),
    );
    // The answer is on its way by now, and nobody has read it.
    stopFor(milliseconds);
    await heard;
    await sleep(150);
    assert.equal(told, ["heard"]);
    server.close();
  });
}

tests("after a stop it passes when nothing has come, once its time is over anew", async () => {
  let isPassed = false;
  deadline(1000, () => {
    isPassed = true;
  });
  stopFor(2200);
  await sleep(10);
  assert.not(isPassed);
  await until("it passes", () => isPassed);
});

tests.run();
