/** An NBD client of a few lines that has none of our code, for tests that misbehave or look at each byte. */
import { connect, type Socket } from "node:net";

const NBD_REQUEST_MAGIC = 0x25609513;

export class RawClient {
  readonly socket: Socket;
  size = 0;
  flags = 0;
  /** Whether the other side has ended the connection, in whatever way. */
  ended = false;
  #received: Buffer[] = [];
  #wake: (() => void) | undefined;

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on("data", (chunk) => {
      this.#received.push(chunk);
      this.#wake?.();
    });
    for (const event of ["end", "error", "close"]) {
      this.socket.on(event, () => {
        this.ended = true;
        this.#wake?.();
      });
    }
  }

  /** Connects, and asks for the default export by NBD_OPT_EXPORT_NAME. */
  static async open(path: string): Promise<RawClient> {
    const client = new RawClient(path);
    await client.take(18);
    const ask = Buffer.alloc(20);
    ask.writeUInt32BE(3, 0); // NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES
    ask.write("IHAVEOPT", 4, "latin1");
    ask.writeUInt32BE(1, 12); // NBD_OPT_EXPORT_NAME
    client.socket.write(ask);
    const reply = await client.take(10);
    client.size = Number(reply.readBigUInt64BE(0));
    client.flags = reply.readUInt16BE(8);
    return client;
  }

  /** Exactly so many bytes. */
  async take(length: number): Promise<Buffer> {
    for (;;) {
      const all = this.#received.length === 1 ? this.#received[0]! : Buffer.concat(this.#received);
      this.#received = all.length > 0 ? [all] : [];
      if (all.length >= length) {
        this.#received = all.length > length ? [all.subarray(length)] : [];
        return all.subarray(0, length);
      }
      if (this.ended) throw new Error(`the connection ended, ${all.length} of ${length} bytes were there`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  send(type: number, cookie: number, offset: number, length: number): void {
    const request = Buffer.alloc(28);
    request.writeUInt32BE(NBD_REQUEST_MAGIC, 0);
    request.writeUInt16BE(type, 6);
    request.writeBigUInt64BE(BigInt(cookie), 8);
    request.writeBigUInt64BE(BigInt(offset), 16);
    request.writeUInt32BE(length, 24);
    this.socket.write(request);
  }

  /** Sends a READ; its reply is for `reply()`. */
  read(cookie: number, offset: number, length: number): void {
    this.send(0, cookie, offset, length);
  }

  /** One reply to a READ of so many bytes. */
  async reply(length: number): Promise<{ cookie: number; error: number; data: Buffer }> {
    const header = await this.take(16);
    const error = header.readUInt32BE(4);
    return {
      cookie: Number(header.readBigUInt64BE(8)),
      error,
      data: error === 0 ? await this.take(length) : Buffer.alloc(0),
    };
  }

  /** Waits for the end of the connection. */
  async end(): Promise<void> {
    while (!this.ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.socket.destroy();
  }
}
