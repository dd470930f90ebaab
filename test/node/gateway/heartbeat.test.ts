import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { heartbeat } from "../../../src/node/gateway/heartbeat.ts";
import { until } from "../../harness.ts";

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
  server.close();
});
tests.after.each(({ near, far }) => {
  near.destroy();
  far.destroy();
});

/** Starts a heartbeat; `answer` is what the other side does when it is pinged. */
function start(near: Socket, answer = () => {}) {
  const seen = { pings: 0, isSilent: false };
  const ping = () => {
    seen.pings++;
    near.write("ping");
    answer();
  };
  heartbeat({ ping }, near, INTERVAL, () => {
    seen.isSilent = true;
  });
  return seen;
}

tests("who never answers is told of, once, after two pings", async ({ near }) => {
  const seen = start(near);
  await until("the silence", () => seen.isSilent);
  assert.is(seen.pings, 2);
  seen.isSilent = false;
  await sleep(4 * INTERVAL);
  assert.equal(seen, { pings: 2, isSilent: false });
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
  assert.equal(seen, { pings: 0, isSilent: false });
});

tests.run();
