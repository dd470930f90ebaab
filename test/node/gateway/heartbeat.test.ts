import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { heartbeat } from "../../../src/node/gateway/heartbeat.ts";
import { until, within } from "../../harness.ts";

const INTERVAL = 100;

interface Context {
  /** The heartbeat's end, and the other one. */
  near: Socket;
  far: Socket;
}

const tests = suite<Context>("heartbeat");

tests.before.each(async (context) => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection");
  context.far = connect((server.address() as AddressInfo).port, "127.0.0.1");
  [context.near] = (await accepted) as [Socket];
  context.near.resume();
  context.far.resume();
  for (const socket of [context.near, context.far]) socket.on("error", () => {});
  server.close();
});
tests.after.each(({ near, far }) => {
  near.destroy();
  far.destroy();
});

/** Starts a heartbeat; `answer` is what the other side does when it is pinged. */
function start(near: Socket, answer = () => {}, interval = INTERVAL) {
  const seen = { pings: 0, isSilent: false };
  const ping = () => {
    seen.pings++;
    near.write("ping");
    answer();
  };
  const beat = heartbeat({ ping }, near, interval, () => {
    seen.isSilent = true;
  });
  return Object.assign(seen, { beat });
}

tests("who never answers is told of, once, after two pings", async ({ near }) => {
  const seen = start(near);
  await until("the silence", () => seen.isSilent);
  assert.is(seen.pings, 2);
  seen.isSilent = false;
  await sleep(4 * INTERVAL);
  assert.equal([seen.pings, seen.isSilent], [2, false]);
});

tests("what is sent is no sign of life", async ({ near }) => {
  const seen = start(near);
  const talk = setInterval(() => near.write("x"), INTERVAL / 5);
  try {
    await until("the silence", () => seen.isSilent);
  } finally {
    clearInterval(talk);
  }
  assert.is(seen.pings, 2);
});

tests("who answers is kept", async ({ near, far }) => {
  const seen = start(near, () => far.write("pong"));
  await until("many pings", () => seen.pings >= 8 || seen.isSilent);
  assert.not(seen.isSilent);
});

tests("a paused socket says nothing of the other side", async ({ near }) => {
  near.pause();
  const seen = start(near);
  await until("many pings", () => seen.pings >= 6 || seen.isSilent);
  assert.not(seen.isSilent);
  near.resume();
  await until("the silence", () => seen.isSilent);
});

tests("a long message that comes in bit by bit is a sign of life, without pings", async ({ near, far }) => {
  const seen = start(near);
  const drip = setInterval(() => far.write("x"), INTERVAL / 5);
  await sleep(6 * INTERVAL);
  clearInterval(drip);
  assert.equal([seen.pings, seen.isSilent], [0, false]);
});

tests("ends with the socket", async ({ near }) => {
  const seen = start(near);
  near.destroy();
  await sleep(4 * INTERVAL);
  assert.equal([seen.pings, seen.isSilent], [0, false]);
});

/** Longer than a test: only what is asked for out of turn is pinged. */
const NEVER = 60_000;

tests("out of turn: who answers is alive, and many who ask cost one ping", async ({ near, far }) => {
  const seen = start(near, () => far.write("pong"), NEVER);
  const asked = Array.from({ length: 1000 }, () => seen.beat.isAlive(10_000));
  assert.equal(new Set(await within(5000, "the answers", Promise.all(asked))), new Set([true]));
  assert.ok(await seen.beat.isAlive(10_000), "soon after an answer that one counts");
  assert.equal([seen.pings, seen.isSilent], [1, false]);
});

tests("out of turn: who does not answer in its time is told of, once", async ({ near }) => {
  const seen = start(near, () => {}, NEVER);
  const asked = [seen.beat.isAlive(INTERVAL), seen.beat.isAlive(INTERVAL)];
  assert.equal(await within(5000, "the silence", Promise.all(asked)), [false, false]);
  assert.ok(seen.isSilent);
  assert.is(seen.pings, 1);
  seen.isSilent = false;
  assert.not(await seen.beat.isAlive(INTERVAL));
  assert.not(seen.isSilent);
});

tests(
  "out of turn: a socket that closes has no answer, and nobody is told of silence",
  async ({ near, far }) => {
    const seen = start(near, () => far.destroy(), NEVER);
    assert.not(await within(5000, "the end", seen.beat.isAlive(NEVER)));
    assert.not(seen.isSilent);
  },
);

tests("out of turn: a paused socket says nothing of the other side", async ({ near }) => {
  near.pause();
  const seen = start(near, () => {}, NEVER);
  assert.ok(await within(5000, "the answer", seen.beat.isAlive(INTERVAL)));
  assert.not(seen.isSilent);
});

tests("out of turn: who still takes what was sent before the ping is alive", async ({ near, far }) => {
  far.pause();
  const seen = start(near, () => {}, NEVER);
  near.write(new Uint8Array(64 << 20));
  await until("the system takes no more", () => near.writableLength > 0);
  const asked = seen.beat.isAlive(NEVER);
  await sleep(INTERVAL);
  far.resume();
  assert.ok(await within(20_000, "the answer", asked));
  assert.not(seen.isSilent);
});

tests("how long it has been silent is known to within a second", async ({ near, far }) => {
  const { beat } = start(near, () => {}, NEVER);
  await until("some silence", () => beat.silence > 1500);
  far.write("x");
  await until("that it came", () => near.bytesRead > 0);
  assert.ok(beat.silence < 1000);
  await until("some silence again", () => beat.silence > 200);
  near.pause();
  assert.is(beat.silence, 0);
});

tests.run();
