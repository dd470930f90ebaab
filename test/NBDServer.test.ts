import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { NBDServer } from "../src/NBDServer.ts";
import { until, within } from "./harness.ts";

const tests = suite("NBDServer");

// What a browser has, and Node 20 has not.
Object.assign(globalThis, { WebSocket, File: globalThis.File ?? class extends Blob {} });

/** A relay that hangs up at once; how many came is in `count`. */
async function shortRelay() {
  const relay = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(relay, "listening");
  const state = { count: 0, url: `ws://127.0.0.1:${(relay.address() as AddressInfo).port}/` };
  relay.on("connection", (socket) => {
    state.count++;
    // NBD_OPT_ABORT: the session is over, in order.
    socket.send(Buffer.from("0000000349484156454f50540000000200000000", "hex"));
  });
  return Object.assign(state, { end: () => relay.close() });
}

tests("whoever hears of the end can start anew", async () => {
  const relay = await shortRelay();
  const server = new NBDServer(relay.url, new Blob(["x"]));
  server.onstate = (state) => {
    if (state === "ended" && relay.count < 2) server.start();
  };
  server.start();
  await until("the second connection", () => relay.count === 2);
  await until("its end", () => server.state === "ended");
  relay.end();
});

tests("what a callback throws is reported like a listener's, and disturbs nothing", async () => {
  const relay = await shortRelay();
  const server = new NBDServer(relay.url, new Blob(["x"]));
  const states: string[] = [];
  const reported: string[] = [];
  const unhandled: unknown[] = [];
  const onReported = (error: Error) => reported.push(error.message);
  const onUnhandled = (error: unknown) => unhandled.push(error);
  process.on("unhandledRejection", onUnhandled);
  process.setUncaughtExceptionCaptureCallback(onReported);
  try {
    server.onlog = () => {
      throw new Error("from onlog");
    };
    server.onstate = (state) => {
      states.push(state);
      throw new Error("from onstate");
    };
    server.start();
    await until("the end", () => states.at(-1) === "ended" && reported.length === 2 * states.length);
  } finally {
    process.setUncaughtExceptionCaptureCallback(null);
    process.off("unhandledRejection", onUnhandled);
  }
  assert.equal(states, ["connecting", "waiting", "ended"]);
  assert.equal(reported.slice(0, 2), ["from onlog", "from onstate"]);
  assert.equal(unhandled, []);
  relay.end();
});

tests("stop() while connecting to what never answers", async () => {
  const silent = createServer((socket) => void socket.on("error", () => {})).listen(0, "127.0.0.1");
  await once(silent, "listening");
  const url = `ws://127.0.0.1:${(silent.address() as AddressInfo).port}/`;
  const server = new NBDServer(url, new Blob(["x"]));
  const ended = new Promise<void>((resolve) => {
    server.onstate = (state) => void (state === "ended" && resolve());
  });
  server.start();
  await once(silent, "connection");
  server.stop();
  await within(2000, "the end", ended);
  silent.close();
});

tests("stop() from within onstate, before anything was sent", async () => {
  const relay = await shortRelay();
  const server = new NBDServer(relay.url, new Blob(["x"]));
  const states: string[] = [];
  server.onstate = (state) => {
    states.push(state);
    server.stop();
  };
  server.start();
  await until("the end", () => states.at(-1) === "ended");
  relay.end();
});

tests.run();
