import { Duplex } from "node:stream";
import { ReusedMemory } from "../../streams/reused-memory.ts";
import { decodeFrameHeader, headerLength, LONGEST_HEADER, Opcode } from "./frame-header.ts";
import { unmask } from "./unmask.ts";

/** What is joined at most, in bytes: as much as our page sends in one message. */
const LONGEST = (1 << 20) + (1 << 16);
/** Memory is taken in multiples of so many bytes, so that it fits the next message too. */
const STEP = 1 << 16;
/** Bytes of memory that are kept while nobody has use of them. */
const SPARE = 1 << 23;

/** Tells `ws` that a binary message has begun: a frame of 0 bytes, not the last one. */
const BEGUN = Buffer.from([Opcode.BINARY, 0x80, 0, 0, 0, 0]);

/**
 * What a server's `ws` is given in place of a socket, so that it need not join binary messages. It joins each frame in new
 * memory, and the frames of a message in new memory again, which took half of a gateway's memory and a quarter of its time
 * for garbage collection. Here they are joined once, in memory that is lent.
 *
 * All else that comes in is for `ws`: the other frames, and whatever is not as RFC 6455 has it, on which it ends the
 * connection. What goes out goes through.
 */
export class BinaryMessages extends Duplex {
  readonly #socket: Duplex;
  readonly #longest: number;
  readonly #deliver: (bytes: Uint8Array) => void;
  readonly #memory = new ReusedMemory(SPARE);
  /** The header of the next frame, as far as it has come. */
  readonly #header = Buffer.alloc(LONGEST_HEADER);
  #headerBytes = 0;
  /** Bytes of the current frame that have not come yet. */
  #left = 0;
  #isFinal = false;
  /** What masks the frame's next byte, and those behind it; undefined where it changes nothing. */
  #key: Uint8Array | undefined;
  /** Whose the message is that has begun, and whose the current frame: ours, or of `ws`. */
  #message: "ours" | "others" | undefined;
  #frame: "ours" | "others" = "others";
  /** Something was wrong, so all is for `ws`. */
  #isForeign = false;
  /** Where the message is joined, and how many bytes of it are there. */
  #joined: ArrayBuffer | undefined;
  #joinedBytes = 0;

  /**
   * @param longest bytes in a frame; a longer one is for `ws`, which is to refuse it
   * @param deliver is called with what has come of binary messages. Their boundaries are lost: long ones come in several
   *   pieces. The bytes are whose they are given to, and may be lent.
   */
  constructor(socket: Duplex, longest: number, deliver: (bytes: Uint8Array) => void) {
    super();
    this.#socket = socket;
    this.#longest = longest;
    this.#deliver = deliver;
    socket.on("data", (chunk: Buffer) => this.#receive(chunk));
    socket.once("end", () => this.push(null));
    socket.on("error", () => {}); // its close comes next
    socket.once("close", () => {
      // What had come before the connection broke, while it was paused.
      const rest = socket.read() as Buffer | null;
      if (rest) this.#receive(rest);
      this.destroy(socket.errored ?? undefined);
    });
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
    this.#socket.write(chunk, done);
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    const last = chunks.pop();
    this.#socket.cork();
    for (const { chunk } of chunks) this.#socket.write(chunk);
    this.#socket.write(last!.chunk, done);
    this.#socket.uncork();
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #receive(chunk: Buffer): void {
    for (let at = 0; at < chunk.byteLength && !this.destroyed; ) {
      if (this.#isForeign) {
        this.push(chunk.subarray(at));
        return;
      }
      if (this.#left === 0) {
        at += this.#readHeader(chunk, at);
        continue;
      }
      const part = chunk.subarray(at, at + this.#left);
      at += part.byteLength;
      this.#left -= part.byteLength;
      if (this.#frame === "ours") this.#take(part);
      else this.push(part);
    }
  }

  /** Reads on in the header of a frame, and gives how many bytes of the chunk that took. */
  #readHeader(chunk: Buffer, at: number): number {
    let taken = 0;
    while (this.#headerBytes < headerLength(this.#header, this.#headerBytes)) {
      if (at + taken === chunk.byteLength) return taken;
      this.#header[this.#headerBytes++] = chunk[at + taken++]!;
    }
    this.#begin(Buffer.from(this.#header.subarray(0, this.#headerBytes)));
    this.#headerBytes = 0;
    return taken;
  }

  /** Begins a frame. */
  #begin(header: Buffer): void {
    const { isFinal, reserved, opcode, length, key } = decodeFrameHeader(header);
    const isControl = opcode >= Opcode.CLOSE;
    const isInTurn = isControl || (opcode === Opcode.CONTINUATION) === (this.#message !== undefined);
    if (!key || reserved || !isInTurn || length > this.#longest) {
      if (this.#message === "ours") this.push(BEGUN);
      this.push(header);
      this.#isForeign = true;
      return;
    }
    this.#left = length;
    if (isControl) this.#frame = "others";
    else {
      this.#frame = this.#message ?? (opcode === Opcode.BINARY ? "ours" : "others");
      this.#message = isFinal ? undefined : this.#frame;
    }
    if (this.#frame === "others") {
      this.push(header);
      return;
    }
    this.#isFinal = isFinal;
    this.#key = key.some((byte) => byte !== 0) ? key : undefined;
    if (length === 0 && isFinal) this.#handOn();
  }

  /** Takes the next bytes of a frame. */
  #take(part: Buffer): void {
    const isEnd = this.#isFinal && this.#left === 0;
    if (isEnd && !this.#joined) {
      this.#unmask(part);
      this.#deliver(part);
      return;
    }
    for (let at = 0; at < part.byteLength; ) {
      this.#joined ??= this.#memory.take(this.#expected(part.byteLength - at));
      const free = new Uint8Array(this.#joined, this.#joinedBytes);
      const some = part.subarray(at, at + free.byteLength);
      free.set(some);
      this.#unmask(free.subarray(0, some.byteLength));
      at += some.byteLength;
      this.#joinedBytes += some.byteLength;
      if (some.byteLength === free.byteLength) this.#handOn();
    }
    if (isEnd) this.#handOn();
  }

  /** How much memory the rest of the message needs, of which so many bytes have come: all there may be where nobody knows. */
  #expected(there: number): number {
    if (!this.#isFinal) return LONGEST;
    return Math.min(LONGEST, Math.ceil((there + this.#left) / STEP) * STEP);
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
    this.#deliver(bytes);
  }
}
