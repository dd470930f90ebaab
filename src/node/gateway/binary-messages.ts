import { Duplex } from "node:stream";
import type { WebSocket } from "ws";
import { giveBack } from "../../streams/lent.ts";
import { spareMemory } from "../../streams/reused-memory.ts";
import { Turns } from "../../streams/turns.ts";
import type { Reader } from "../read-into.ts";
import {
  decodeFrameHeader,
  type FrameError,
  faultOf,
  headerLength,
  LONGEST_CONTROL,
  LONGEST_HEADER,
  Opcode,
} from "./frame-header.ts";
import { unmask } from "./unmask.ts";

/** Memory is taken in multiples of this many bytes, so that it fits the next message too. */
const STEP = 1 << 16;
/** The most that is joined, in bytes: our page sends 1 MiB with headers as one message. */
const LONGEST = (1 << 20) + STEP;

/**
 * Where bytes are read to while it is not known what they are. One place serves all sockets, since the bytes are handled, or
 * copied, before the next socket is read.
 */
const mixed = new Uint8Array(1 << 16);
/** If at least this many bytes of a frame are missing, they are read straight into its message's memory. */
const LONG = 1 << 14;

/** The state of a WebSocket that takes messages. */
const OPEN = 1;

/** What the payload of a frame is for. */
type Purpose = "message" | "ping" | "close" | "nothing";

/** The WebSocket of `ws` that messages are for. */
export type MessageReceiver = Pick<WebSocket, "readyState" | "emit" | "close">;

/**
 * Stands between a server's socket and `ws`, and receives the binary messages itself. `ws` would join each frame in new memory,
 * and then the frames of a message in new memory again. Here a long message is read straight to where it belongs, in memory that
 * is lent (test/bench/README.md, "Binary messages").
 *
 * `ws` is given close frames only. Pings are answered here. A frame that is neither binary nor a control frame, text too, is
 * refused at its header, so that no byte of it is held. Once the WebSocket is closing, messages are dropped. What is sent is
 * passed on unchanged.
 *
 * Many short frames are handled in several turns of the event loop (`Turns`); the socket is paused in between.
 */
export class BinaryMessages extends Duplex {
  readonly #socket: Duplex;
  readonly #longest: number;
  readonly #receiver: () => MessageReceiver | undefined;
  readonly #turns = new Turns();
  /** The header of the next frame, as far as it has come. */
  readonly #header = Buffer.alloc(LONGEST_HEADER);
  #headerBytes = 0;
  /** Bytes that still come are dropped: they follow a close frame, or a frame that was refused. */
  #isOver = false;
  /** A message has begun, and its last frame has not come. */
  #isWithin = false;
  /** Of the current frame: how many bytes have not come yet, and what they are for. */
  #left = 0;
  #purpose: Purpose = "nothing";
  /** The masking key, rotated to the frame's next byte; undefined if it is all zeroes. */
  #key: Uint8Array | undefined;
  /** Where the message is joined, and how many bytes of it are there. */
  #joined: ArrayBuffer | undefined;
  #joinedBytes = 0;
  /** The payload of a ping, and how many bytes of it are there. */
  readonly #ping = Buffer.alloc(LONGEST_CONTROL);
  #pingBytes = 0;
  /** The ping that came last, while the answer to one before it waits to be sent. */
  #unanswered: Buffer | undefined;
  #isAnswering = false;
  /** Bytes that were received and not handled yet, from the beginning of a frame on. */
  #rest: Uint8Array | undefined;
  #isReceiving = false;
  /** The reader wants no more for now; no more will come; the socket has closed. */
  #isPaused = false;
  #isEnded = false;
  #isClosed = false;

  /**
   * @param open has a socket's bytes read to where the reader wants them, and returns the socket
   * @param longest bytes in a frame; a longer one is refused
   * @param receiver returns the WebSocket, once there is one. It emits binary messages as "message"; a long one comes in several
   *   pieces. The bytes belong to the listener, and may be lent. If a frame is refused, the WebSocket is closed and emits a
   *   FrameError as "error".
   */
  constructor(
    open: (reader: Reader) => Duplex,
    longest: number,
    receiver: () => MessageReceiver | undefined,
  ) {
    super();
    this.#longest = longest;
    this.#receiver = receiver;
    const socket = open({ place: () => this.#place(), take: (bytes) => this.#take(bytes) });
    this.#socket = socket;
    socket.once("end", () => {
      this.#isEnded = true;
      if (!this.#rest) this.push(null);
    });
    socket.on("error", () => {}); // its close comes next
    socket.once("close", () => {
      this.#isClosed = true;
      if (this.#rest) this.#goOn();
      else this.destroy();
    });
  }

  override pause(): this {
    this.#isPaused = true;
    this.#socket.pause();
    return super.pause();
  }

  override resume(): this {
    this.#isPaused = false;
    this.#goOn();
    return super.resume();
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.#socket.write(chunk, this.#sent(done));
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    const last = chunks.pop();
    this.#socket.cork();
    for (const { chunk } of chunks) this.#socket.write(chunk);
    this.#socket.write(last!.chunk, this.#sent(done));
    this.#socket.uncork();
  }

  /**
   * A socket that is destroyed during a write reports no error. The failure is reported when the socket has closed: until then
   * what it had received is handed on, and the failure ends this stream.
   */
  #sent(done: (error?: Error | null) => void) {
    return (error?: Error | null) => {
      const { destroyed, errored, closed } = this.#socket;
      if (!error && !destroyed) return done();
      const reason = error ?? errored ?? new Error("the connection is gone");
      if (closed) done(reason);
      else this.#socket.once("close", () => done(reason));
    };
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #place(): Uint8Array {
    const isLong = this.#purpose === "message" && this.#left >= LONG && !this.#isOver && !this.destroyed;
    return isLong ? this.#free(0).subarray(0, this.#left) : mixed;
  }

  /** Takes bytes that were received. */
  #take(bytes: Uint8Array): void {
    if (this.destroyed || this.#isOver) return;
    if (this.#purpose === "message" && !this.#isOpen) this.#drop();
    if (bytes.buffer !== mixed.buffer) {
      this.#left -= bytes.byteLength;
      if (this.#purpose === "message") this.#joinedMore(bytes);
    } else if (this.#rest) {
      // Only from a stream that gives more at a time than the place can take, and that cannot be paused in between.
      this.#rest = Buffer.concat([this.#rest, bytes]);
    } else this.#receive(bytes);
  }

  /** Whether messages are still taken. */
  get #isOpen(): boolean {
    return this.#receiver()?.readyState === OPEN;
  }

  /** Drops the current message, and what has come of it. */
  #drop(): void {
    this.#purpose = "nothing";
    this.#joined = undefined;
    this.#joinedBytes = 0;
  }

  /** Takes bytes whose memory is reused afterwards. What has to wait for a later turn is copied. */
  #receive(chunk: Uint8Array): void {
    this.#isReceiving = true;
    try {
      for (let at = 0; at < chunk.byteLength && !this.destroyed && !this.#isOver; ) {
        if (this.#left > 0) {
          const part = chunk.subarray(at, at + this.#left);
          at += part.byteLength;
          this.#left -= part.byteLength;
          this.#takePayload(part);
        } else if (this.#headerBytes === 0 && this.#hasToWait) {
          this.#keep(chunk.subarray(at));
          break;
        } else at += this.#readHeader(chunk, at);
      }
    } finally {
      this.#isReceiving = false;
    }
  }

  /** Whether the next frame has to wait. Once the socket has closed, what came before is handled even while this is paused. */
  get #hasToWait(): boolean {
    return (this.#isPaused && !this.#isClosed) || this.#turns.isOver();
  }

  #keep(rest: Uint8Array): void {
    this.#rest = rest.buffer === mixed.buffer ? rest.slice() : rest;
    this.#socket.pause();
    this.#turns.next?.then(() => this.#goOn()).catch((error) => this.destroy(error));
  }

  /** Goes on with what was kept, and then with the socket, unless there is still a reason to wait. */
  #goOn(): void {
    if (this.#isReceiving || this.#turns.next || (this.#isPaused && !this.#isClosed)) return;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest && !this.destroyed) this.#receive(rest);
    if (this.#rest) return;
    if (this.#isClosed) this.destroy();
    else if (this.#isEnded && rest) this.push(null);
    else if (!this.#isPaused) this.#socket.resume();
  }

  /** Reads more of a frame's header. Returns how many bytes of the chunk that took. */
  #readHeader(chunk: Uint8Array, at: number): number {
    let taken = 0;
    while (this.#headerBytes < headerLength(this.#header, this.#headerBytes)) {
      if (at + taken === chunk.byteLength) return taken;
      this.#header[this.#headerBytes++] = chunk[at + taken++]!;
    }
    const header = this.#header.subarray(0, this.#headerBytes);
    this.#headerBytes = 0;
    this.#begin(header);
    return taken;
  }

  /** Begins a frame. */
  #begin(header: Buffer): void {
    const frame = decodeFrameHeader(header);
    const fault = faultOf(frame, this.#isWithin, this.#longest);
    if (fault) {
      this.#refuse(fault);
      return;
    }
    const { isFinal, opcode, length, key } = frame;
    this.#left = length;
    this.#key = key?.some((byte) => byte !== 0) ? key : undefined;
    if (opcode === Opcode.CLOSE) {
      this.#purpose = "close";
      this.push(Buffer.from(header));
    } else if (opcode === Opcode.PING) this.#purpose = "ping";
    else if (opcode === Opcode.PONG) this.#purpose = "nothing";
    else {
      this.#isWithin = !isFinal;
      if (this.#isOpen) this.#purpose = "message";
      else this.#drop();
    }
    if (length === 0) this.#end();
  }

  /** Takes the next bytes of a frame. Their memory is reused afterwards. */
  #takePayload(part: Uint8Array): void {
    if (this.#purpose === "message") this.#join(part);
    else if (this.#purpose === "close") this.push(Buffer.from(part));
    else if (this.#purpose === "ping") {
      this.#ping.set(part, this.#pingBytes);
      this.#pingBytes += part.byteLength;
    }
    if (this.#left === 0 && this.#purpose !== "message") this.#end();
  }

  /** Ends a frame that has come completely. */
  #end(): void {
    if (this.#purpose === "message" && !this.#isWithin) this.#handOn();
    else if (this.#purpose === "close") this.#isOver = true;
    else if (this.#purpose === "ping") {
      const payload = Buffer.from(this.#ping.subarray(0, this.#pingBytes));
      this.#pingBytes = 0;
      this.#unmask(payload);
      this.#unanswered = payload;
      if (!this.#isAnswering) this.#answer();
    }
  }

  /**
   * Answers the latest ping. While an answer waits to be sent no further one is made (RFC 6455, section 5.5.3), so a peer that
   * sends pings and does not read costs one answer.
   */
  #answer(): void {
    const payload = this.#unanswered;
    this.#unanswered = undefined;
    if (!payload || !this.#isOpen) return;
    this.#isAnswering = true;
    const header = Buffer.of(0x80 | Opcode.PONG, payload.byteLength);
    this.write(Buffer.concat([header, payload]), (error) => {
      this.#isAnswering = false;
      if (!error) this.#answer();
    });
  }

  /** Ends the connection because of a bad frame. Bytes that still come are ignored. */
  #refuse(fault: FrameError): void {
    this.#isOver = true;
    this.#drop();
    const receiver = this.#receiver();
    if (!receiver) {
      this.destroy();
      return;
    }
    receiver.close(fault.code, fault.message);
    this.end();
    receiver.emit("error", fault);
  }

  /** Copies the next bytes of a frame to where they belong. */
  #join(part: Uint8Array): void {
    if (this.#isEnd && !this.#joined) {
      const whole = this.#copy(part);
      this.#unmask(whole);
      this.#deliver(whole);
      return;
    }
    for (let at = 0; at < part.byteLength && !this.destroyed; ) {
      const left = part.byteLength - at;
      const place = this.#free(left).subarray(0, left);
      place.set(part.subarray(at, at + place.byteLength));
      at += place.byteLength;
      this.#joinedMore(place);
    }
  }

  /** Whether the message ends with what has come. */
  get #isEnd(): boolean {
    return !this.#isWithin && this.#left === 0;
  }

  /** The free rest of the message's memory. `there` bytes of its frame have come, and are not joined yet. */
  #free(there: number): Uint8Array {
    this.#joined ??= spareMemory.take(this.#expected(there));
    return new Uint8Array(this.#joined, this.#joinedBytes);
  }

  /** Takes note of bytes that were read to the end of what is joined. */
  #joinedMore(bytes: Uint8Array): void {
    this.#unmask(bytes);
    this.#joinedBytes += bytes.byteLength;
    if (this.#joinedBytes === bytes.buffer.byteLength || this.#isEnd) this.#handOn();
  }

  /** Bytes that the rest of the message needs, as far as that is known; else the most. `there` of them have come. */
  #expected(there: number): number {
    if (this.#isWithin) return LONGEST;
    return Math.min(LONGEST, stepsOf(there + this.#left));
  }

  /** Unmasks the frame's next bytes. */
  #unmask(bytes: Uint8Array): void {
    if (!this.#key) return;
    unmask(bytes, this.#key);
    const turn = bytes.byteLength & 3;
    if (turn) this.#key = Uint8Array.from(this.#key, (_, i) => this.#key![(i + turn) & 3]!);
  }

  /** Hands on what is joined. */
  #handOn(): void {
    if (!this.#joined) return;
    const bytes = spareMemory.lend(this.#joined, this.#joinedBytes);
    this.#joined = undefined;
    this.#joinedBytes = 0;
    if (bytes.byteLength * 2 >= bytes.buffer.byteLength) {
      this.#deliver(bytes);
      return;
    }
    // Copy what uses less than half of its buffer: a receiver accounts for the length, not for the memory behind it.
    this.#deliver(this.#copy(bytes));
    giveBack(bytes);
  }

  #deliver(bytes: Uint8Array): void {
    this.#receiver()?.emit("message", bytes, true);
  }

  /** A copy in memory that fits, recycled if it is long (test/bench/README.md, "Binary messages"). */
  #copy(bytes: Uint8Array): Uint8Array {
    const { byteLength } = bytes;
    if (byteLength < STEP) return bytes.slice();
    const copy = spareMemory.lend(spareMemory.take(stepsOf(byteLength)), byteLength);
    copy.set(bytes);
    return copy;
  }
}

function stepsOf(length: number): number {
  return Math.ceil(length / STEP) * STEP;
}
