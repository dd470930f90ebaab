import { Duplex } from "node:stream";
import { giveBack } from "../../streams/lent.ts";
import { spareMemory } from "../../streams/reused-memory.ts";
import type { Reader } from "../read-into.ts";
import { decodeFrameHeader, headerLength, LONGEST_HEADER, Opcode } from "./frame-header.ts";
import { unmask } from "./unmask.ts";

/** Memory is taken in multiples of so many bytes, so that it fits the next message too. */
const STEP = 1 << 16;
/** What is joined at most, in bytes: what our page sends as one message, which is 1 MiB with headers. */
const LONGEST = (1 << 20) + STEP;

/** Bytes that are read at a time where it is not known what they are. */
const MIXED = 1 << 16;
/** Where so many bytes of a frame are still to come, they are read into its message's memory at once. */
const LONG = 1 << 14;

/** The longest payload of a frame that is no message (RFC 6455, section 5.5). */
const MAX_CONTROL = 125;

/** Tells `ws` that a binary message has begun: a frame of 0 bytes, not the last one. */
const BEGUN = Buffer.from([Opcode.BINARY, 0x80, 0, 0, 0, 0]);

/**
 * What a server's `ws` is given in place of a socket, so that it need not join binary messages. It joins each frame in new
 * memory, and the frames of a message in new memory again, which took a third of a gateway's memory and, for garbage
 * collection behind a browser, a quarter of its time. Here long ones are read to where they belong, in memory that is lent.
 *
 * Pings and pongs go on to `ws`. So does everything from a frame on that is anything else, a close frame, text, or not as
 * RFC 6455 has it, for `ws` to deal with. What goes out goes through.
 */
export class BinaryMessages extends Duplex {
  readonly #socket: Duplex;
  readonly #longest: number;
  readonly #deliver: (bytes: Uint8Array) => void;
  readonly #memory = spareMemory;
  /** The header of the next frame, as far as it has come. */
  readonly #header = Buffer.alloc(LONGEST_HEADER);
  #headerBytes = 0;
  /** All that comes is for `ws`. */
  #isForeign = false;
  /** A message has begun, and does not end with the frame of it that came last. */
  #isWithin = false;
  /** Of the current frame: how many bytes have not come yet, and whether they are a message's. */
  #left = 0;
  #isBinary = false;
  /** What masks the frame's next byte, and those behind it; undefined where it changes nothing. */
  #key: Uint8Array | undefined;
  /** Where what is read next goes: of a long message to its other bytes, of all else into memory that is used at once. */
  readonly #mixed = new Uint8Array(MIXED);
  /** Where the message is joined, and how many bytes of it are there. */
  #joined: ArrayBuffer | undefined;
  #joinedBytes = 0;

  /**
   * @param open has a socket's bytes read to where the reader wants them, and gives the socket
   * @param longest bytes in a frame; a longer one is for `ws`, which is to refuse it
   * @param deliver is called with what has come of binary messages. Their boundaries are lost: long ones come in several
   *   pieces. The bytes are whose they are given to, and may be lent.
   */
  constructor(open: (reader: Reader) => Duplex, longest: number, deliver: (bytes: Uint8Array) => void) {
    super();
    this.#longest = longest;
    this.#deliver = deliver;
    const socket = open({ place: () => this.#place(), take: (bytes) => this.#take(bytes) });
    this.#socket = socket;
    socket.once("end", () => this.push(null));
    socket.on("error", () => {}); // its close comes next
    socket.once("close", () => this.destroy());
  }

  override pause(): this {
    this.#socket.pause();
    return super.pause();
  }

  override resume(): this {
    this.#socket.resume();
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
   * A socket that is destroyed tells of no error where a write was in flight. The failure is told when the socket has
   * closed, by when what it had received is handed on: it ends this stream too.
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
    const isLong = this.#isBinary && this.#left >= LONG && !this.#isForeign && !this.destroyed;
    return isLong ? this.#free(0).subarray(0, this.#left) : this.#mixed;
  }

  /** Takes what has come. */
  #take(bytes: Uint8Array): void {
    if (this.destroyed) return;
    if (bytes.buffer === this.#mixed.buffer) {
      this.#receive(bytes);
      return;
    }
    this.#left -= bytes.byteLength;
    this.#joinedMore(bytes);
  }

  /** Takes bytes whose memory is used again afterwards. */
  #receive(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.byteLength && !this.destroyed; ) {
      if (this.#isForeign) {
        this.push(Buffer.from(chunk.subarray(at)));
        return;
      }
      if (this.#left === 0) {
        at += this.#readHeader(chunk, at);
        continue;
      }
      const part = chunk.subarray(at, at + this.#left);
      at += part.byteLength;
      this.#left -= part.byteLength;
      if (this.#isBinary) this.#join(part);
      else this.push(Buffer.from(part));
    }
  }

  /** Reads on in the header of a frame, and gives how many bytes of the chunk that took. */
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
    const { isFinal, reserved, opcode, length, key } = decodeFrameHeader(header);
    const isBinary = opcode === (this.#isWithin ? Opcode.CONTINUATION : Opcode.BINARY);
    const isPing = (opcode === Opcode.PING || opcode === Opcode.PONG) && isFinal && length <= MAX_CONTROL;
    this.#isForeign = !key || reserved !== 0 || length > this.#longest || !(isBinary || isPing);
    if (this.#isForeign && this.#isWithin) this.push(BEGUN);
    this.#left = length;
    this.#isBinary = isBinary;
    if (this.#isForeign || isPing) {
      this.push(Buffer.from(header));
      return;
    }
    this.#isWithin = !isFinal;
    this.#key = key?.some((byte) => byte !== 0) ? key : undefined;
    if (length === 0 && isFinal) this.#handOn();
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

  /** Where the message goes on, of whose frame so many bytes are there but not joined yet. */
  #free(there: number): Uint8Array {
    this.#joined ??= this.#memory.take(this.#expected(there));
    return new Uint8Array(this.#joined, this.#joinedBytes);
  }

  /** These bytes are where they belong: at the end of what has been joined. */
  #joinedMore(bytes: Uint8Array): void {
    this.#unmask(bytes);
    this.#joinedBytes += bytes.byteLength;
    if (this.#joinedBytes === bytes.buffer.byteLength || this.#isEnd) this.#handOn();
  }

  /** How much memory the rest of the message needs, of which so many bytes have come: all there may be where nobody knows. */
  #expected(there: number): number {
    if (this.#isWithin) return LONGEST;
    return Math.min(LONGEST, stepsOf(there + this.#left));
  }

  /** Takes the mask off the frame's next bytes. */
  #unmask(bytes: Uint8Array): void {
    if (!this.#key) return;
    unmask(bytes, this.#key);
    const turn = bytes.byteLength & 3;
    if (turn) this.#key = Uint8Array.from(this.#key, (_, i) => this.#key![(i + turn) & 3]!);
  }

  /** Hands on what has been joined. */
  #handOn(): void {
    if (!this.#joined) return;
    const bytes = this.#memory.lend(this.#joined, this.#joinedBytes);
    this.#joined = undefined;
    this.#joinedBytes = 0;
    if (bytes.byteLength * 2 >= bytes.buffer.byteLength) {
      this.#deliver(bytes);
      return;
    }
    // Whoever gets it counts these bytes only, so they must not hold memory of many times their length.
    this.#deliver(this.#copy(bytes));
    giveBack(bytes);
  }

  /** A copy in memory that fits; new memory for long ones was an eighth of what came from a browser, and made half of all garbage. */
  #copy(bytes: Uint8Array): Uint8Array {
    const { byteLength } = bytes;
    if (byteLength < STEP) return bytes.slice();
    const copy = this.#memory.lend(this.#memory.take(stepsOf(byteLength)), byteLength);
    copy.set(bytes);
    return copy;
  }
}

function stepsOf(length: number): number {
  return Math.ceil(length / STEP) * STEP;
}
