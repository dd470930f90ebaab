import { randomBytes } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { type WebSocket, WebSocketServer } from "ws";
import { BinaryMessages, type MessageReceiver } from "../../../src/node/gateway/binary-messages.ts";
import { type Reader, readInto } from "../../../src/node/read-into.ts";
import { giveBack, isLent } from "../../../src/streams/lent.ts";
import { until } from "../../harness.ts";

const tests = suite("binary messages");

const MAX = 1 << 22;
const MIB = 1 << 20;

interface Frame {
  opcode: number;
  isFinal: boolean;
  payload: Uint8Array;
  key: readonly number[];
  /** What is wrong with it: bits for extensions, no mask, a length that is not its own. */
  fault?: "reserved" | "unmasked" | "length" | undefined;
}

/** A frame as clients send it (RFC 6455, section 5.2). */
function encode({ opcode, isFinal, payload, key, fault }: Frame): Buffer {
  const { byteLength } = payload;
  const told = fault === "length" ? MAX + 1 : byteLength;
  const length = Buffer.alloc(told < 126 ? 1 : told < 1 << 16 ? 3 : 9);
  if (length.length === 1) length[0] = told;
  else if (length.length === 3) length.writeUInt16BE(told, length.writeUInt8(126));
  else length.writeBigUInt64BE(BigInt(told), length.writeUInt8(127));
  const first = opcode | (isFinal ? 0x80 : 0) | (fault === "reserved" ? 0x20 : 0);
  if (fault === "unmasked") return Buffer.concat([Buffer.of(first), length, payload]);
  length[0]! |= 0x80;
  const masked = payload.map((byte, i) => byte ^ key[i & 3]!);
  return Buffer.concat([Buffer.of(first), length, Buffer.from(key), masked]);
}

/** A socket whose other side is this test. */
class Near extends Duplex {
  readonly sent: Buffer[] = [];
  override _read() {}
  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void) {
    this.sent.push(chunk);
    done();
  }
}

/** A socket that takes what is written to it when the test says so. */
class Slow extends Near {
  readonly written: number[][] = [];
  #done: ((error?: Error | null) => void) | undefined;
  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void) {
    this.written.push(chunks.map(({ chunk }) => chunk.byteLength));
    this.#done = done;
  }
  /** Takes it, or has been destroyed: of which a socket of Node's tells nothing here either. */
  accept() {
    this.#done?.(null);
  }
  override _destroy(error: Error | null, done: (error: Error | null) => void) {
    this.accept();
    done(error);
  }
}

const REQUEST = {
  method: "GET",
  url: "/",
  headers: {
    connection: "Upgrade",
    upgrade: "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  },
} as unknown as IncomingMessage;

/** A `ws` on a socket, and all that it told: with `deliver`, behind BinaryMessages. */
function start(socket: Near, deliver?: (bytes: Uint8Array) => void) {
  const server = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: MAX });
  const told: string[] = [];
  let client!: WebSocket;
  const between = deliver
    ? new BinaryMessages(
        (reader) => readInto(socket, Buffer.alloc(0), reader),
        MAX,
        () => client,
      )
    : socket;
  server.handleUpgrade(REQUEST, between, Buffer.alloc(0), (socket) => {
    client = socket;
  });
  client.on("message", (data: Buffer, isBinary) => {
    if (!isBinary) told.push(`text ${data}`);
    else deliver?.(data);
  });
  client.on("error", (error) => told.push(`error ${error.message}`));
  client.on("close", (code, reason) => told.push(`close ${code} ${reason}`));
  return { client, told };
}

/** Cuts bytes where it is told to. */
function cut(bytes: Buffer, lengths: readonly number[]): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0, i = 0; at < bytes.byteLength; i++) {
    const end = at + (lengths[i % lengths.length] ?? bytes.byteLength);
    parts.push(bytes.subarray(at, end));
    at = end;
  }
  return parts;
}

/** What a server's frames say, each its opcode and payload: its answer to the request comes before them. */
function framesOf(sent: readonly Buffer[]): { opcode: number; payload: Buffer }[] {
  const bytes = Buffer.concat(sent.slice(1));
  const frames: { opcode: number; payload: Buffer }[] = [];
  for (let at = 0; at < bytes.byteLength; ) {
    const end = at + 2 + bytes[at + 1]!;
    frames.push({ opcode: bytes[at]! & 0x0f, payload: bytes.subarray(at + 2, end) });
    at = end;
  }
  return frames;
}

/** What comes of it when this comes in, by `ws` itself or behind BinaryMessages, where what is lent is given back at once. */
async function receive(parts: readonly Buffer[], isOurs: boolean) {
  const socket = new Near();
  const bytes: Buffer[] = [];
  const { client, told } = start(socket, isOurs ? () => {} : undefined);
  client.on("message", (data: Uint8Array, isBinary) => {
    if (told.some((line) => /^(error|close)/.test(line))) told.push("a message after the end");
    if (isBinary) bytes.push(Buffer.from(data));
    giveBack(data);
  });
  // Each side may write into what it was given.
  for (const part of parts) {
    socket.push(Buffer.from(part));
    await turn();
  }
  socket.push(null);
  await until("the close", () => told.some((line) => line.startsWith("close")));
  const frames = framesOf(socket.sent);
  const close = frames.find(({ opcode }) => opcode === 8)?.payload;
  return {
    told,
    pongs: frames.filter(({ opcode }) => opcode === 10).map(({ payload }) => payload.toString("hex")),
    closeCode: close && close.byteLength > 0 ? close.readUInt16BE(0) : undefined,
    isRefused: told.some((line) => line.startsWith("error")),
    bytes: Buffer.concat(bytes),
  };
}

/** Fails unless both have handed on the same, and refused it or not; of the answers to pings, the last one has to be there. */
async function compare(parts: readonly Buffer[]) {
  const [expected, actual] = [await receive(parts, false), await receive(parts, true)];
  assert.is(actual.isRefused, expected.isRefused, `${actual.told} instead of ${expected.told}`);
  assert.is(actual.closeCode, expected.closeCode);
  assert.not.ok(actual.told.includes("a message after the end"));
  assert.ok(actual.bytes.equals(expected.bytes), "other bytes");
  if (!expected.isRefused) assert.is(actual.pongs.at(-1), expected.pongs.at(-1));
  assert.ok(actual.pongs.every((pong) => expected.pongs.includes(pong)));
}

const key = fc.oneof(fc.constant([0, 0, 0, 0]), fc.array(fc.nat(255), { minLength: 4, maxLength: 4 }));
const payload = (max: number) => fc.nat(max).map((length) => randomBytes(length));
const frame = (opcode: fc.Arbitrary<number>, max: number) =>
  fc.record({ opcode, isFinal: fc.boolean(), payload: payload(max), key });
const control = fc.record({
  opcode: fc.constantFrom(9, 9, 10),
  isFinal: fc.constant(true),
  payload: payload(125),
  key,
});
/** A message in one frame or several, with pings between them. */
const message = fc
  .tuple(
    fc.constant(2),
    fc.array(fc.tuple(fc.oneof(payload(300), payload(180_000)), key, fc.option(control)), {
      minLength: 1,
      maxLength: 6,
    }),
  )
  .map(([opcode, parts]) =>
    parts.flatMap(([bytes, key, between], i): Frame[] => [
      {
        opcode: i === 0 ? opcode : 0,
        isFinal: i === parts.length - 1,
        payload: bytes,
        key,
      },
      ...(between ? [between] : []),
    ]),
  );
/** `ws` takes text. */
const opcode = fc.nat(15).filter((opcode) => opcode !== 1);
const wrong = fc.oneof(
  fc
    .tuple(frame(opcode, 300), fc.constantFrom("reserved", "unmasked", "length"))
    .map(([frame, fault]): Frame => ({ ...frame, fault: fault as NonNullable<Frame["fault"]> })),
  frame(opcode, 300),
);
const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 70_000 })), {
  minLength: 1,
  maxLength: 5,
});
/** Few bytes at a time only where there are few. */
const partsOf = (frames: readonly Frame[], lengths: readonly number[]) => {
  const bytes = Buffer.concat(frames.map(encode));
  const least = bytes.byteLength >> 9;
  return cut(
    bytes,
    lengths.map((length) => Math.max(length, least)),
  );
};

/** Frames that browsers make of a message. */
function fragments(payload: Uint8Array, length: number): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at < payload.byteLength; at += length) {
    frames.push(
      encode({
        opcode: at === 0 ? 2 : 0,
        isFinal: at + length >= payload.byteLength,
        payload: payload.subarray(at, at + length),
        key: [1, 2, 3, 4],
      }),
    );
  }
  return frames;
}

tests("messages come through as by ws itself, whatever their frames and however they arrive", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { maxLength: 5 }), cuts, (messages, lengths) =>
      compare(partsOf(messages.flat(), lengths)),
    ),
    { numRuns: 60 },
  );
});

tests(
  "what is not as the standard has it is refused as by ws itself, and nothing comes after it",
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(message, { maxLength: 2 }),
        fc.array(wrong, { minLength: 1, maxLength: 4 }),
        fc.array(message, { maxLength: 1 }),
        cuts,
        (before, frames, after, lengths) =>
          compare(partsOf([...before.flat(), ...frames, ...after.flat()], lengths)),
      ),
      { numRuns: 150 },
    );
  },
);

tests("a close frame within a message ends it, and nothing comes after it", async () => {
  const begun: Frame = { opcode: 2, isFinal: false, payload: randomBytes(200), key: [1, 2, 3, 4] };
  const close: Frame = { opcode: 8, isFinal: true, payload: Buffer.from([3, 232]), key: [0, 0, 0, 0] };
  const after: Frame = { opcode: 0, isFinal: true, payload: randomBytes(20), key: [1, 2, 3, 4] };
  await compare([Buffer.concat([begun, close, after].map(encode))]);
});

/** A header of a frame in 14 bytes. */
function longHeader(first: number, length: bigint): Buffer {
  const header = Buffer.from([first, 0xff, ...Array<number>(12).fill(0)]);
  header.writeBigUInt64BE(length, 2);
  return header;
}

const key1: Frame["key"] = [1, 2, 3, 4];
const empty = Buffer.alloc(0);
const faults: Readonly<Record<string, [code: number, words: RegExp, ...bytes: Buffer[]]>> = {
  text: [1003, /text, but NBD needs binary/, encode({ opcode: 1, isFinal: true, payload: empty, key: key1 })],
  "text of 32 MiB": [1003, /text, but NBD needs binary/, longHeader(0x81, 2n ** 25n)],
  "text of many frames": [
    1003,
    /text, but/,
    encode({ opcode: 1, isFinal: false, payload: empty, key: key1 }),
  ],
  "a frame longer than any": [1009, new RegExp(`of ${MAX + 1} bytes`), longHeader(0x82, BigInt(MAX + 1))],
  "a length of 2^63": [1002, /highest bit/, longHeader(0x82, 2n ** 63n)],
  "5 in 16 bits": [1002, /shortest form/, Buffer.from([0x82, 0xfe, 0, 5, 1, 2, 3, 4])],
  "125 in 16 bits": [1002, /shortest form/, Buffer.from([0x82, 0xfe, 0, 125, 1, 2, 3, 4])],
  "5 in 64 bits": [1002, /shortest form/, longHeader(0x82, 5n)],
  "65,535 in 64 bits": [1002, /shortest form/, longHeader(0x82, 65535n)],
  "a ping of 5 bytes in 16 bits": [1002, /shortest form/, Buffer.from([0x89, 0xfe, 0, 5, 1, 2, 3, 4])],
  "a ping of 126 bytes": [1002, /with 126 bytes/, Buffer.from([0x89, 0xfe, 0, 126, 1, 2, 3, 4])],
  "a ping in parts": [1002, /in parts/, encode({ opcode: 9, isFinal: false, payload: empty, key: key1 })],
  "a continuation of nothing": [
    1002,
    /continues no message/,
    encode({ opcode: 0, isFinal: true, payload: empty, key: key1 }),
  ],
  "no mask": [
    1002,
    /not masked/,
    encode({ opcode: 2, isFinal: true, payload: empty, key: key1, fault: "unmasked" }),
  ],
  "bits for extensions": [
    1002,
    /reserved/,
    encode({ opcode: 2, isFinal: true, payload: empty, key: key1, fault: "reserved" }),
  ],
  "a kind that nobody knows": [
    1002,
    /unknown kind 3/,
    encode({ opcode: 3, isFinal: true, payload: empty, key: key1 }),
  ],
  "a message within another": [
    1002,
    /within another/,
    encode({ opcode: 2, isFinal: false, payload: empty, key: key1 }),
    encode({ opcode: 2, isFinal: true, payload: empty, key: key1 }),
  ],
};

for (const [name, [code, words, ...bytes]] of Object.entries(faults)) {
  tests(`${name} is refused at the header, in words, and the socket ends`, async () => {
    const socket = new Near();
    const { told } = start(socket, () => told.push("a message"));
    for (const part of bytes) socket.push(part);
    await until("the end", () => socket.writableEnded);
    assert.is(told.length, 1);
    assert.match(told[0]!, words);
    const close = framesOf(socket.sent).at(-1)!;
    assert.is(close.opcode, 8);
    assert.is(close.payload.readUInt16BE(0), code);
    assert.is(`error ${close.payload.subarray(2)}`, told[0]);
    // Nothing that comes now is looked at, or kept.
    socket.push(encode({ opcode: 2, isFinal: true, payload: randomBytes(200_000), key: key1 }));
    await turn();
    assert.is(socket.readableLength, 0);
    assert.is(told.length, 1);
    socket.push(null);
    await until("the close", () => told.length > 1);
    assert.is(told[1], "close 1006 ");
  });
}

tests("126 bytes in 16 bits and 65,536 in 64 are taken", async () => {
  for (const length of [125, 126, 65535, 65536]) {
    const { isRefused, bytes } = await receive(fragments(randomBytes(length), length), true);
    assert.not.ok(isRefused);
    assert.is(bytes.byteLength, length);
  }
});

tests("an empty frame ends its message, which does not wait for what comes behind it", async () => {
  const socket = new Near();
  const pieces: Uint8Array[] = [];
  start(socket, (bytes) => pieces.push(bytes));
  const [key, payload] = [[1, 2, 3, 4], Buffer.from("abc")];
  socket.push(encode({ opcode: 2, isFinal: false, payload, key }));
  socket.push(encode({ opcode: 0, isFinal: true, payload: Buffer.alloc(0), key }));
  await turn();
  assert.is(Buffer.concat(pieces).toString(), "abc");
  socket.destroy();
});

for (const length of [2, 1 << 16, 1 << 18]) {
  tests(`messages of ${length} bytes in two frames hold no more than twice as much memory`, async () => {
    const socket = new Near();
    const pieces: Uint8Array[] = [];
    start(socket, (bytes) => pieces.push(bytes));
    for (let i = 0; i < 20; i++) {
      for (const frame of fragments(randomBytes(length), length / 2)) socket.push(frame);
    }
    await turn();
    assert.is(pieces.length, 20);
    const held = pieces.reduce((sum, { buffer }) => sum + buffer.byteLength, 0);
    assert.ok(held <= 2 * 20 * length, `${held} bytes`);
    socket.destroy();
  });
}

tests("a message of many frames is one piece of memory, which is used again once given back", async () => {
  const socket = new Near();
  const pieces: Uint8Array[] = [];
  start(socket, (bytes) => pieces.push(bytes));
  const messages = Array.from({ length: 4 }, () => randomBytes(MIB));
  const send = async (message: Buffer) => {
    for (const part of cut(Buffer.concat(fragments(message, 131_000)), [1 << 16])) socket.push(part);
    await turn();
  };
  await send(messages[0]!);
  await send(messages[1]!);
  assert.is(pieces.length, 2);
  assert.ok(pieces.every(isLent));
  assert.ok(messages[0]!.equals(pieces[0]!), "the first one is as it was while it is out");
  const { buffer } = pieces[0]!;
  giveBack(pieces[0]!);
  await send(messages[2]!);
  assert.is(pieces[2]!.buffer, buffer);
  await send(messages[3]!);
  for (const i of [1, 2, 3]) assert.ok(messages[i]!.equals(pieces[i]!), `message ${i}`);
  socket.destroy();
});

tests("short messages that come together stay as they are, each in memory of its own", async () => {
  const socket = new Near();
  const pieces: Uint8Array[] = [];
  start(socket, (bytes) => pieces.push(bytes));
  const messages = [4096, 300, 20, 4096, 300].map((length) => randomBytes(length));
  const frames = messages.map((message) => Buffer.concat(fragments(message, 4096)));
  socket.push(Buffer.concat(frames.slice(0, 3)));
  await turn();
  socket.push(Buffer.concat(frames.slice(3)));
  await turn();
  assert.is(pieces.length, 5);
  for (const [i, piece] of pieces.entries()) {
    assert.ok(messages[i]!.equals(piece), `message ${i}`);
    assert.is(piece.buffer.byteLength, piece.byteLength);
  }
  socket.destroy();
});

tests(
  "a long message is read to where it is handed on from, but for what comes with its header",
  async () => {
    let reader!: Reader;
    const pieces: Uint8Array[] = [];
    const receiver: MessageReceiver = {
      readyState: 1,
      emit: (_: string, bytes: Uint8Array) => pieces.push(bytes) > 0,
      close: () => {},
    };
    const between = new BinaryMessages(
      (r) => {
        reader = r;
        return new Near();
      },
      MAX,
      () => receiver,
    );
    const message = randomBytes(1 << 18);
    const sent = Buffer.concat(fragments(message, message.byteLength));
    const places: Uint8Array[] = [];
    for (let at = 0; at < sent.byteLength; ) {
      const place = reader.place();
      const some = sent.copy(place, 0, at, at + 50_000);
      places.push(place.subarray(0, some));
      reader.take(place.subarray(0, some));
      at += some;
    }
    assert.is(pieces.length, 1);
    assert.ok(message.equals(pieces[0]!));
    const inPlace = places.filter(({ buffer }) => buffer === pieces[0]!.buffer);
    // The first 50,000 bytes come with the header; the last ones are few.
    const bytes = inPlace.reduce((sum, { byteLength }) => sum + byteLength, 0);
    assert.is(bytes, Math.floor(sent.byteLength / 50_000 - 1) * 50_000);
    between.destroy();
  },
);

tests("a message longer than what is joined comes in pieces, bounded whatever its length", async () => {
  const socket = new Near();
  const pieces: Uint8Array[] = [];
  start(socket, (bytes) => pieces.push(Buffer.from(bytes)));
  const message = randomBytes(MAX);
  for (const part of cut(Buffer.concat(fragments(message, MAX)), [1 << 16])) socket.push(part);
  await turn();
  assert.ok(pieces.length > 2);
  assert.ok(pieces.every(({ byteLength }) => byteLength <= MIB + (1 << 16)));
  assert.ok(Buffer.concat(pieces).equals(message));
  socket.destroy();
});

tests("pausing the WebSocket pauses the socket, and what had come before it broke is handed on", async () => {
  const socket = new Near();
  let bytes = 0;
  const { client, told } = start(socket, (piece) => {
    bytes += piece.byteLength;
  });
  client.pause();
  assert.ok(socket.isPaused());
  for (const frame of fragments(randomBytes(1000), 1000)) socket.push(frame);
  await turn();
  assert.is(bytes, 0);
  client.resume();
  await until("the message", () => bytes === 1000);
  client.pause();
  for (let i = 0; i < 5; i++) for (const frame of fragments(randomBytes(1000), 1000)) socket.push(frame);
  socket.destroy();
  client.resume();
  await until("the close", () => told.length > 0);
  assert.is(bytes, 6000);
  assert.equal(told, ["close 1006 "]);
});

tests("what had come before it broke is handed on where a write was in flight, too", async () => {
  const socket = new Slow();
  let bytes = 0;
  const { client, told } = start(socket, (piece) => {
    bytes += piece.byteLength;
  });
  await turn();
  client.pause();
  for (let i = 0; i < 3; i++) for (const frame of fragments(randomBytes(1000), 1000)) socket.push(frame);
  client.send(randomBytes(1000));
  await turn();
  socket.destroy();
  await until("the close", () => told.length > 0);
  assert.is(bytes, 3000);
});

tests("whoever terminates the WebSocket when a message comes is given no more of them", async () => {
  const socket = new Near();
  const { client, told } = start(socket, () => {
    told.push("message");
    client.terminate();
  });
  const message = fragments(randomBytes(10), 10);
  socket.push(Buffer.concat([...message, ...message]));
  await until("the close", () => told.length > 1);
  assert.equal(told, ["message", "close 1006 "]);
});

tests("what is sent leaves frame by frame, each after the one before, and counts until then", async () => {
  const socket = new Slow();
  const { client } = start(socket, () => {});
  await turn();
  let sent = 0;
  for (let i = 0; i < 2; i++) client.send(randomBytes(1000), () => sent++);
  await turn();
  assert.equal(socket.written, [[4, 1000]], "header and payload together, and one at a time");
  assert.is(sent, 0);
  assert.is(client.bufferedAmount, 2008);
  socket.accept();
  await until("the second", () => socket.written.length === 2);
  assert.is(sent, 1);
  socket.accept();
  await until("both", () => sent === 2);
  socket.destroy();
});

tests("what did not leave before the connection broke is told as an error", async () => {
  const socket = new Slow();
  const { client } = start(socket, () => {});
  await turn();
  const failed: boolean[] = [];
  for (let i = 0; i < 3; i++) client.send(randomBytes(1000), (error) => failed.push(Boolean(error)));
  await turn();
  socket.destroy();
  await until("the last word on each", () => failed.length === 3);
  assert.equal(failed, [true, true, true]);
});

tests("whoever sends very many frames takes turns, and the socket is paused between them", async () => {
  const socket = new Near();
  const pieces: Uint8Array[] = [];
  const { client } = start(socket, (bytes) => pieces.push(bytes));
  const count = 10_000;
  const frames = Array.from({ length: count }, (_, i) =>
    encode({ opcode: 2, isFinal: true, payload: Buffer.from([i & 0xff]), key: key1 }),
  );
  socket.push(Buffer.concat(frames));
  await turn();
  assert.ok(pieces.length <= 1100, `${pieces.length} in a turn`);
  assert.ok(socket.isPaused());
  // Pausing and going on in between changes nothing.
  client.pause();
  await turn();
  await turn();
  const { length } = pieces;
  await turn();
  assert.is(pieces.length, length, "nobody wants more");
  client.resume();
  let turns = 0;
  for (; pieces.length < count; turns++) await turn();
  assert.ok(turns >= 5, `${turns} turns`);
  assert.not.ok(socket.isPaused());
  assert.ok(pieces.every(([byte], i) => byte === (i & 0xff)));
  socket.destroy();
});

tests("what waits for its turn when the socket ends, or breaks, comes before the end", async () => {
  const frame = encode({ opcode: 2, isFinal: true, payload: Buffer.from("x"), key: key1 });
  for (const end of [(socket: Near) => socket.push(null), (socket: Near) => socket.destroy()]) {
    const socket = new Near();
    let count = 0;
    const { told } = start(socket, () => count++);
    socket.push(Buffer.concat(Array<Buffer>(5000).fill(frame)));
    await turn();
    end(socket);
    await until("the close", () => told.length > 0);
    assert.is(count, 5000);
    assert.equal(told, ["close 1006 "]);
  }
});

/** A socket that takes nothing more once it is stuck, until the test says so. */
class Stuck extends Near {
  isStuck = false;
  readonly waiting: Buffer[] = [];
  #done: (() => void) | undefined;
  override _write(chunk: Buffer, encoding: BufferEncoding, done: () => void) {
    if (!this.isStuck) return super._write(chunk, encoding, done);
    this.waiting.push(chunk);
    this.#done = done;
  }
  accept() {
    this.#done?.();
  }
}

tests("while an answer to a ping waits to be sent only the last ping is kept", async () => {
  const socket = new Stuck();
  start(socket, () => {});
  await turn();
  socket.isStuck = true;
  const ping = (text: string) => encode({ opcode: 9, isFinal: true, payload: Buffer.from(text), key: key1 });
  socket.push(Buffer.concat(Array.from({ length: 3000 }, (_, i) => ping(String(i)))));
  await turn();
  await until("all have come", () => !socket.isPaused());
  const answer = (text: string) => Buffer.concat([Buffer.from([0x8a, text.length]), Buffer.from(text)]);
  assert.equal(socket.waiting, [answer("0")]);
  for (let i = 0; i < 3; i++) {
    socket.accept();
    await turn();
  }
  assert.equal(socket.waiting, [answer("0"), answer("2999")]);
  socket.destroy();
});

tests("once the WebSocket is closing messages are dropped, until the other side's close frame", async () => {
  const socket = new Near();
  const pieces: Uint8Array[] = [];
  const { client, told } = start(socket, (bytes) => pieces.push(bytes));
  const [first, second] = fragments(randomBytes(200_000), 100_000);
  socket.push(first!);
  await turn();
  client.close(4000, "enough");
  socket.push(second!);
  for (const frame of fragments(randomBytes(200_000), 100_000)) socket.push(frame);
  await turn();
  assert.is(pieces.length, 0);
  socket.push(encode({ opcode: 8, isFinal: true, payload: Buffer.from([15, 160]), key: key1 }));
  await until("the socket's end", () => socket.writableEnded);
  socket.push(null);
  await until("the close", () => told.length > 0);
  assert.equal(told, ["close 4000 "]);
});

tests("a closing handshake ends the socket", async () => {
  const socket = new Near();
  const { told } = start(socket, () => {});
  socket.push(encode({ opcode: 8, isFinal: true, payload: Buffer.alloc(0), key: [0, 0, 0, 0] }));
  await until("the socket's end", () => socket.writableEnded);
  socket.push(null);
  await until("the close", () => told.length > 0);
  assert.equal(told, ["close 1005 "]);
});

tests("terminating the WebSocket ends the socket, and the other way round", async () => {
  for (const end of [
    (client: WebSocket) => client.terminate(),
    (_: WebSocket, socket: Near) => socket.destroy(),
  ]) {
    const socket = new Near();
    const { client, told } = start(socket, () => {});
    end(client, socket);
    await until("the close", () => told.length > 0 && socket.destroyed);
    assert.equal(told, ["close 1006 "]);
  }
});

tests.run();
