/** How long the messages are that a WebSocket sends, and what becomes of one that is too long for the other side. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { WebSocket, WebSocketServer } from "ws";
import { lend } from "../../src/streams/lent.ts";
import { WebSocketError, type WebSocketLike, webSocket } from "../../src/transport/websocket.ts";
import { collectBytes, failure, isPending, sequence } from "../bytes.ts";
import { within } from "../harness.ts";

const tests = suite("the length of WebSocket messages");

/** A WebSocket that tells when the bytes have left, as `ws` does: when the test says so. */
class FakeSocket extends EventTarget implements WebSocketLike {
  binaryType = "blob";
  readyState = 1;
  bufferedAmount = 0;
  readonly sent: { bytes: Uint8Array; done: () => void }[] = [];
  send(bytes: never, done?: never) {
    this.sent.push({ bytes, done: done! });
  }
  close() {}
  end(code: number, reason = "") {
    this.readyState = 3;
    this.dispatchEvent(Object.assign(new Event("close"), { code, reason }));
  }
}

tests("what is longer is sent in pieces of the same memory, in order", async () => {
  const socket = new FakeSocket();
  const writer = webSocket(socket, { maxMessage: 100 }).writable.getWriter();
  const bytes = sequence(250);
  await writer.write(bytes);
  await writer.write(bytes.subarray(0, 100));
  await writer.write(bytes.subarray(0, 101));
  assert.equal(
    socket.sent.map(({ bytes: { byteLength, byteOffset } }) => [byteOffset, byteLength]),
    [
      [0, 100],
      [100, 100],
      [200, 50],
      [0, 100],
      [0, 100],
      [100, 1],
    ],
  );
  assert.ok(socket.sent.every((piece) => piece.bytes.buffer === bytes.buffer));
});

tests("what was lent is given back once, when the last piece has left", async () => {
  const socket = new FakeSocket();
  let returns = 0;
  const bytes = lend(sequence(250), () => returns++);
  await webSocket(socket, { maxMessage: 100 }).writable.getWriter().write(bytes);
  for (const { done } of socket.sent.slice(0, 2)) {
    done();
    assert.is(returns, 0);
  }
  socket.sent[2]!.done();
  assert.is(returns, 1);
});

tests("a write of many pieces waits while too much of them has not left", async () => {
  const socket = new FakeSocket();
  const writer = webSocket(socket, { maxMessage: 100, sendBuffer: 200 }).writable.getWriter();
  socket.bufferedAmount = 201;
  const writing = writer.write(sequence(250));
  assert.ok(await isPending(writing));
  socket.bufferedAmount = 200;
  await within(5000, "the write", writing);
});

tests("over a real connection all arrives, and no message is longer", async () => {
  const listener = new WebSocketServer({ host: "127.0.0.1", port: 0, maxPayload: 1000 });
  await once(listener, "listening");
  const client = new WebSocket(`ws://127.0.0.1:${(listener.address() as AddressInfo).port}`);
  const [server] = (await once(listener, "connection")) as [WebSocket];
  const got = collectBytes(webSocket(server).readable);
  const writer = webSocket(client, { maxMessage: 1000 }).writable.getWriter();
  await writer.write(sequence(10_001));
  await writer.close();
  assert.equal(await within(5000, "the bytes", got), sequence(10_001));
  listener.close();
});

for (const [what, lengths, options, words] of [
  ["says how long it was", [10, 300, 20], {}, "of 300 bytes as too long; set maxMessage"],
  ["says how long the pieces were", [300], { maxMessage: 100 }, "of 100 bytes as too long; set maxMessage"],
  ["names no length where nothing was sent", [], {}, "as too long; set maxMessage"],
  ["names the remedy of a program", [70], { remedy: "use --short" }, "of 70 bytes as too long; use --short"],
] as const) {
  tests(`a message that was refused as too long: ${what}`, async () => {
    const socket = new FakeSocket();
    const transport = webSocket(socket, options);
    const writer = transport.writable.getWriter();
    for (const length of lengths) await writer.write(sequence(length));
    socket.end(1009, "Payload too big");
    const error = await failure(transport.closed);
    assert.instance(error, WebSocketError);
    const { message, code, reason } = error as WebSocketError;
    assert.is(message, `the other side refused a message ${words}`);
    assert.equal([code, reason], [1009, "Payload too big"]);
  });
}

tests("a longest message of less than 64 bytes is refused", () => {
  for (const maxMessage of [0, 63, -1, Number.NaN]) {
    assert.throws(
      () => webSocket(new FakeSocket(), { maxMessage }),
      /maxMessage, in bytes, must be at least 64/,
    );
  }
});

tests("a WebSocket that is closed already is the end, as nothing else will tell", async () => {
  const socket = new FakeSocket();
  socket.end(1000);
  const { closed } = webSocket(socket);
  assert.match((await within(5000, "the end", failure(closed))).message, /closed already/);
});

tests.run();
