import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { NBDServer } from "../src/NBDServer.ts";
import { nbdClient } from "../src/nbd/client/nbd-client.ts";
import type { RemoteExport } from "../src/nbd/client/remote-export.ts";
import { WebSocketError, webSocket } from "../src/transport/websocket.ts";
import { sequence } from "./bytes.ts";
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

/** A file of which each read counts. */
function countedFile(content: Uint8Array<ArrayBuffer>) {
  const file = new Blob([content]);
  const slices: [number, number][] = [];
  const slice = file.slice.bind(file);
  file.slice = (from = 0, to = file.size) => {
    slices.push([from, to]);
    return slice(from, to);
  };
  return { file, slices };
}

/** Serves a file to one client; counts the messages in which the answers come. */
async function served(
  file: Blob,
  options: { cache?: number },
  use: (remote: RemoteExport, messages: () => number) => Promise<void>,
) {
  const relay = new WebSocketServer({ host: "127.0.0.1", port: 0, perMessageDeflate: false });
  await once(relay, "listening");
  const connection = once(relay, "connection");
  const server = new NBDServer(`ws://127.0.0.1:${(relay.address() as AddressInfo).port}/`, file, options);
  server.start();
  const [socket] = (await connection) as [WebSocket];
  let messages = 0;
  socket.on("message", () => {
    messages++;
  });
  const remote = await nbdClient(webSocket(socket));
  await use(remote, () => messages);
  await remote.close();
  await until("the server's end", () => server.state === "ended");
  relay.close();
}

tests("a sequential reader of 16 MiB has the file read once, in few pieces", async () => {
  const { file, slices } = countedFile(sequence(1 << 24));
  await served(file, {}, async (remote) => {
    for (let at = 0; at < file.size; at += 1 << 16) {
      assert.equal(await remote.read(at, 1 << 16), sequence(1 << 16, at));
    }
  });
  // A byte by itself is a look whether the file has changed.
  const lengths = slices.map(([from, to]) => to - from).filter((length) => length > 1);
  assert.is(
    lengths.reduce((sum, length) => sum + length, 0),
    file.size,
  );
  assert.ok(slices.length <= 24, `${slices.length} reads of the file`);
});

tests("what is kept is not read again; without a cache all is, and no more than asked for", async () => {
  const twice = async (remote: RemoteExport) => {
    for (let i = 0; i < 2; i++) {
      for (let at = 0; at < 1 << 16; at += 4096) await remote.read(at, 4096);
    }
  };
  const kept = countedFile(sequence(1 << 16));
  await served(kept.file, {}, twice);
  assert.equal(kept.slices, [[0, 1 << 16]]);
  const direct = countedFile(sequence(1 << 16));
  await served(direct.file, { cache: 0 }, twice);
  assert.is(direct.slices.length, 32);
  assert.equal(direct.slices[0], [0, 4096]);
});

tests("a cache that is smaller than a read is no harm", async () => {
  for (const cache of [1, 1000, 1 << 16]) {
    const { file, slices } = countedFile(sequence(1 << 18));
    await served(file, { cache }, async (remote) => {
      assert.equal(await remote.read(0, 1 << 18), sequence(1 << 18));
    });
    assert.equal(slices, [[0, 1 << 18]], `${cache} bytes`);
  }
});

tests("small reads that are asked for together are answered in few messages", async () => {
  await served(new Blob([sequence(1 << 18)]), {}, async (remote, messages) => {
    await remote.read(0, 1 << 17);
    const before = messages();
    const reads = Array.from({ length: 16 }, (_, i) => remote.read(i * 8192, 4096));
    await Promise.all(reads);
    assert.ok(messages() - before <= 3, `${messages() - before} messages`);
  });
});

tests("a cache of less than nothing is refused", () => {
  assert.throws(
    () => new NBDServer("ws://127.0.0.1/", new Blob([]), { cache: -1 }),
    /cache, in bytes, must be at least 0, not -1/,
  );
  assert.throws(() => new NBDServer("ws://127.0.0.1/", new Blob([]), { cache: Number.NaN }), RangeError);
});

/** A relay whose other side says this in so many messages, and leaves. */
async function relaySaying(...messages: string[]) {
  const relay = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(relay, "listening");
  relay.on("connection", (socket) => {
    for (const message of messages) socket.send(Buffer.from(message, "hex"));
    // Once all was answered.
    setTimeout(() => socket.close(), 200);
  });
  return { port: (relay.address() as AddressInfo).port, end: () => relay.close() };
}

const EXPORT_NAME = "0000000349484156454f50540000000100000000";
const READ = "25609513000000000000000000000001000000000000000000000001";
const DISC = "25609513000000020000000000000002000000000000000000000000";

for (const [what, messages, state, words] of [
  ["says nothing", [], "failed", "the other side left without reading; its log says why"],
  ["chooses the file", [EXPORT_NAME], "failed", "the other side left without reading; its log says why"],
  ["disconnects", [EXPORT_NAME, DISC], "ended", "the session has ended"],
  ["reads", [EXPORT_NAME, READ], "ended", "the session has ended"],
] as const) {
  tests(`the other side ${what} and leaves: ${state}`, async () => {
    const relay = await relaySaying(...messages);
    const server = new NBDServer(`ws://127.0.0.1:${relay.port}/`, new Blob(["x"]));
    const lines: string[] = [];
    server.onlog = (line) => lines.push(line);
    server.start();
    await until("the end", () => server.state === "ended" || server.state === "failed");
    assert.is(server.state, state);
    assert.is(lines.at(-1), words);
    relay.end();
  });
}

for (const url of [
  (port: number) => `ws://user:secret@127.0.0.1:${port}/?token=secret`,
  () => "ws://user:secret@127.0.0.1:99999/?token=secret",
  () => "ws://user:se cret@127.0.0.1:99999/?token=secret",
  () => "ftp://user:secret@127.0.0.1/?token=secret",
]) {
  tests(`nothing that is said shows the secrets of ${url(1)}`, async () => {
    const relay = await relaySaying();
    const server = new NBDServer(url(relay.port), new Blob(["x"]));
    const lines: string[] = [];
    server.onlog = (line) => lines.push(line);
    server.start();
    await until("the end", () => server.state === "failed");
    assert.ok(lines.length >= 2);
    assert.match(lines[0]!, /^connecting to \w+:\/\/127\.0\.0\.1/);
    assert.not.match(lines.join("\n"), /secret|se cret|user/);
    relay.end();
  });
}

tests("asks for the subprotocols, and tells the close code and the reason of the other side", async () => {
  const relay = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "nbd" });
  await once(relay, "listening");
  const asked: (string | undefined)[] = [];
  relay.on("connection", (socket, { headers }) => {
    asked.push(headers["sec-websocket-protocol"]);
    socket.close(4001, "taken over by 10.9.0.3");
  });
  const url = `ws://127.0.0.1:${(relay.address() as AddressInfo).port}/`;
  for (const protocols of [["nbd", "token.secret"], []]) {
    const server = new NBDServer(url, new Blob(["x"]), { protocols });
    assert.is(server.error, undefined);
    server.start();
    await until("the end", () => server.state === "failed");
    if (protocols.length === 0) continue;
    assert.instance(server.error, WebSocketError);
    const { code, reason } = server.error as WebSocketError;
    assert.equal([code, reason], [4001, "taken over by 10.9.0.3"]);
  }
  assert.equal(asked, ["nbd,token.secret", undefined]);
  relay.close();
});

tests("subprotocols that are not valid are not shown, since they may hold a token", async () => {
  for (const [url, list] of [
    ["ws://127.0.0.1:9/", ["nbd", "token.se cret"]],
    ["ws://127.0.0.1:9/", ["token.secret", "token.secret"]],
    ["ws://127.0.0.1:99999/?secret", ["nbd", "token.secret"]],
  ] as [string, string[]][]) {
    const server = new NBDServer(url, new Blob(["x"]), { protocols: list });
    const lines: string[] = [];
    server.onlog = (line) => lines.push(line);
    server.start();
    await until("the end", () => server.state === "failed");
    assert.is(lines.length, 2);
    assert.not.match(lines.join("\n"), /secret|se cret/);
  }
});

tests("a file that cannot be read is told to onerror", async () => {
  const relay = await relaySaying(EXPORT_NAME, READ);
  const file = new Blob(["x"]);
  file.slice = () => {
    throw new DOMException("it was removed", "NotFoundError");
  };
  const told: unknown[] = [];
  const server = new NBDServer(`ws://127.0.0.1:${relay.port}/`, file, {
    cache: 0,
    onerror: ({ message }, request) => told.push(message, request),
  });
  server.start();
  await until("the end", () => server.state === "ended");
  relay.end();
  const words = "reading 1 bytes at 0: the file was removed, or is a folder (NotFoundError)";
  assert.equal(told, [words, { command: "READ", offset: 0, length: 1 }]);
});

tests.run();
