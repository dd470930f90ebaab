import { spawn } from "node:child_process";
import * as assert from "uvu/assert";
import { memoryExport } from "../../../src/export/memory.ts";
import { beginHandshake } from "../../../src/nbd/client/begun-handshake.ts";
import { HandshakeClock } from "../../../src/nbd/client/handshake-times.ts";
import { nbdClient } from "../../../src/nbd/client/nbd-client.ts";
import { LinkError } from "../../../src/nbd/error.ts";
import { nbdServer } from "../../../src/nbd/server/nbd-server.ts";
import { readableOf, writableOf } from "../../../src/node/node-stream.ts";
import { join } from "../../../src/streams/join.ts";
import { transportPair } from "../../../src/streams/pair.ts";
import { hex } from "../../bytes.ts";
import { suite, until, within } from "../../harness.ts";
import { greeting } from "../words.ts";

const tests = suite("times of the handshake");

const GREETING = hex(greeting("0001"));
const LONG = 60;

const later = (milliseconds: number) =>
  new Promise<void>((resolve) => {
    setTimeout(resolve, milliseconds);
  });

/** A client, and what its server says; what it hears is thrown away. */
function asked(handshakeTimes: { greeting: number; reply: number; whole: number }) {
  const [near, far] = transportPair();
  far.readable.pipeTo(new WritableStream()).catch(() => {});
  const writer = far.writable.getWriter();
  const failed = nbdClient(near, { handshakeTimes }).then(
    () => new Error("it went well"),
    (error: Error) => error,
  );
  let isOver = false;
  failed.then(() => {
    isOver = true;
  });
  /** Says something again and again, in pieces, until the client has given up. */
  async function dribble(pieces: Iterable<Uint8Array>) {
    for (const piece of pieces) {
      if (isOver) return;
      await writer.write(piece).catch(() => {});
      await later(10);
    }
  }
  return { failed, dribble, say: (bytes: Uint8Array) => writer.write(bytes).catch(() => {}) };
}

const bytewise = (bytes: Uint8Array) => Array.from(bytes, (_, i) => bytes.subarray(i, i + 1));

async function expectLate(failed: Promise<Error>, message: string) {
  const error = await within(5000, "the verdict", failed);
  assert.instance(error, LinkError);
  assert.is(error.message, message);
}

tests("a greeting a byte at a time is one greeting", async () => {
  const { failed, dribble } = asked({ greeting: 0.1, reply: LONG, whole: LONG });
  // The last byte never comes.
  void dribble(bytewise(GREETING.subarray(0, -1)));
  await expectLate(failed, "the server did not answer for 0.1 s");
});

tests("each reply has its time, however it comes", async () => {
  const { failed, dribble, say } = asked({ greeting: LONG, reply: 0.1, whole: LONG });
  await say(GREETING);
  void dribble(bytewise(hex("0003e889045565a9 0000000b 80000001 00001000").subarray(0, 20)));
  await expectLate(failed, "the server did not answer for 0.1 s");
});

tests("replies without end, each in time, have a time for all of them", async () => {
  const { failed, dribble, say } = asked({ greeting: LONG, reply: LONG, whole: 0.2 });
  await say(GREETING);
  // No extended headers, no structured replies; then names of the export.
  for (const option of ["0000000b", "00000008"])
    await say(hex(`0003e889045565a9 ${option} 80000001 00000000`));
  const name = hex("0003e889045565a9 00000007 00000003 00000003 0001 61");
  void dribble(Array.from({ length: 60 }, () => name));
  await expectLate(failed, "the server did not end the handshake within 0.2 s");
});

tests("what the server waits for on our side is not its lateness, and what comes after is", async () => {
  const [near, far] = transportPair();
  join(far, nbdServer(memoryExport(new Uint8Array(1)))).catch(() => {});
  const times = { greeting: LONG, reply: LONG, whole: 1 };
  const begun = await beginHandshake(near, { handshakeTimes: times });
  await later(1500);
  const remote = await begun.finish();
  await remote.close();

  const [nearer, farther] = transportPair();
  const writer = farther.writable.getWriter();
  const greeted = writer.write(GREETING);
  const stalled = await beginHandshake(nearer, { handshakeTimes: { ...times, whole: 0.2 } });
  await greeted;
  await later(300);
  const failed = stalled.finish().then(
    () => new Error("it went well"),
    (error: Error) => error,
  );
  await expectLate(failed, "the server did not end the handshake within 0.2 s");
});

tests("the longest times are no short ones", async () => {
  const [near, far] = transportPair();
  join(far, nbdServer(memoryExport(new Uint8Array(1)))).catch(() => {});
  const seen: string[] = [];
  const onWarning = ({ name }: Error) => seen.push(name);
  process.on("warning", onWarning);
  const remote = await nbdClient(near, { timeout: 2_147_483 });
  await remote.close();
  process.off("warning", onWarning);
  assert.equal(seen, []);
});

tests("the time for the whole stands still while it is paused", async () => {
  let error: LinkError | undefined;
  const clock = new HandshakeClock({ greeting: LONG, reply: LONG, whole: 0.05 }, (late) => {
    error = late;
  });
  clock.pause();
  await later(200);
  assert.is(error, undefined);
  clock.goOn();
  await until("the verdict", () => error !== undefined);
  assert.is(error!.message, "the server did not end the handshake within 0.05 s");
});

tests("the time that the whole has taken counts, when it goes on", async () => {
  let error: LinkError | undefined;
  const clock = new HandshakeClock({ greeting: LONG, reply: 0.01, whole: LONG }, (late) => {
    error = late;
  });
  // As if the process had been stopped for longer than the whole may take: there is time for a reply yet.
  const { now } = performance;
  performance.now = () => now.call(performance) + 2 * LONG * 1000;
  clock.pause();
  performance.now = now;
  clock.goOn();
  await until("the verdict", () => error !== undefined);
  assert.is(error!.message, `the server did not end the handshake within ${LONG} s`);
});

tests("what came while the process was stopped is read before it is judged", async () => {
  const printf = greeting("0001")
    .replace(/\s/g, "")
    .replace(/../g, (byte) => {
      return `\\${Number.parseInt(byte, 16).toString(8).padStart(3, "0")}`;
    });
  const server = spawn("sh", ["-c", `sleep 0.2; printf '${printf}'; exec sleep 10`], {
    stdio: ["pipe", "pipe", "ignore"],
  });
  try {
    server.stdin.on("error", () => {});
    const transport = {
      readable: readableOf(server.stdout),
      writable: writableOf(server.stdin),
      closed: new Promise<void>(() => {}),
      close: () => void server.stdout.destroy(new Error("late")),
    };
    const greeted = beginHandshake(transport, { handshakeTimes: { greeting: 0.4, reply: 0.1, whole: LONG } });
    greeted.catch(() => {});
    await later(20);
    // Nothing of this process goes on, as when it is stopped.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
    await within(5000, "the greeting", greeted);
  } finally {
    server.kill("SIGKILL");
  }
});

tests.run();
