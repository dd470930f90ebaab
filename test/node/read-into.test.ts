import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, Socket } from "node:net";
import { PassThrough } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type Reader, readInto } from "../../src/node/read-into.ts";
import { until } from "../harness.ts";

const tests = suite("read into");

/** A reader that gives one place after the other, each in the midst of some memory, and knows what came. */
class Places implements Reader {
  readonly taken: Uint8Array[] = [];
  place() {
    return new Uint8Array(new ArrayBuffer(50_000), 100, 40_000);
  }
  take(bytes: Uint8Array) {
    this.taken.push(bytes);
  }
  get bytes() {
    return Buffer.concat(this.taken);
  }
}

/** Both ends of a connection, and the server that has accepted one of them. */
async function connection(): Promise<{ near: Socket; far: Socket; server: Server }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const far = connect({
    port: (server.address() as AddressInfo).port,
    host: "127.0.0.1",
    allowHalfOpen: true,
  });
  const [near] = (await once(server, "connection")) as [Socket];
  return { near, far, server };
}

const NONE = new Uint8Array(0);

tests("what a socket receives is read to its places by the system, behind what had come before", async () => {
  const { near, far, server } = await connection();
  const reader = new Places();
  const [head, rest] = [randomBytes(60_000), randomBytes(1_000_000)];
  const to = readInto(near, head, reader);
  assert.instance(to, Socket);
  // Where this fails Node's way of making sockets has changed, and the bytes are copied.
  assert.is.not(to, near);
  far.end(rest);
  await once(to, "end");
  assert.ok(Buffer.concat([head, rest]).equals(reader.bytes));
  to.end("the answer");
  const [answer] = await once(far, "data");
  assert.is(`${answer}`, "the answer");
  await until("the first socket's end", () => near.destroyed);
  assert.ok(to.destroyed);
  server.close();
  await once(server, "close");
});

tests("a socket that is paused reads no more until it goes on", async () => {
  const { near, far, server } = await connection();
  const reader = new Places();
  const to = readInto(near, NONE, reader);
  far.write("one");
  await until("the first", () => reader.bytes.byteLength === 3);
  to.pause();
  far.write("two");
  await delay(50);
  assert.is(reader.bytes.byteLength, 3);
  to.resume();
  await until("the second", () => reader.bytes.byteLength === 6);
  to.destroy();
  far.destroy();
  server.close();
  await once(server, "close");
});

tests("a connection that breaks fails the socket, and the server has none left", async () => {
  const { near, far, server } = await connection();
  const to = readInto(near, NONE, new Places()) as Socket;
  const failed = once(to, "error");
  far.resetAndDestroy();
  const [error] = await failed;
  assert.is(error.code, "ECONNRESET");
  await until("the first socket's end", () => near.destroyed);
  server.close();
  await once(server, "close");
});

tests("what is no socket is copied to the places, the rest of one that broke too", async () => {
  const stream = new PassThrough();
  const reader = new Places();
  assert.is(readInto(stream, Buffer.from("head "), reader), stream);
  const bytes = randomBytes(100_000);
  stream.write(bytes);
  await until("all", () => reader.bytes.byteLength === 100_005);
  assert.ok(Buffer.concat([Buffer.from("head "), bytes]).equals(reader.bytes));
  stream.pause();
  stream.write("the rest");
  await delay(10);
  stream.destroy();
  await once(stream, "close");
  assert.is(`${reader.bytes.subarray(100_005)}`, "the rest");
});

tests.run();
