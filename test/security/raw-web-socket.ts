/** A WebSocket client of a few lines, which sends what no well-behaved one would. */
import { createConnection, type Socket } from "node:net";
import { linesOf } from "./login-here.ts";

const KEY = Buffer.from([1, 2, 3, 4]);

/** The header of a frame, masked, with its length as it has to be. */
export function header(first: number, length: number): Buffer {
  const bytes = Buffer.alloc(length < 126 ? 2 : length < 1 << 16 ? 4 : 10);
  bytes[0] = first;
  bytes[1] = 0x80 | (length < 126 ? length : length < 1 << 16 ? 126 : 127);
  if (bytes.length === 4) bytes.writeUInt16BE(length, 2);
  if (bytes.length === 10) bytes.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([bytes, KEY]);
}

/** A frame without payload. */
export const emptyFrame = (first: number) => header(first, 0);

export class RawWebSocket {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  /** What the server said in frames: opcode and payload. */
  readonly frames: { opcode: number; payload: Buffer }[] = [];
  isOpen = false;
  isClosed = false;

  constructor(port: number, path = "/", headers: Readonly<Record<string, string>> = {}) {
    this.socket = createConnection(port, "127.0.0.1");
    this.socket.on("data", (chunk) => this.#take(chunk));
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.isClosed = true;
    });
    this.socket.write(
      [
        `GET ${path} HTTP/1.1`,
        `Host: 127.0.0.1:${port}`,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ...linesOf(headers),
        "\r\n",
      ].join("\r\n"),
    );
  }

  #take(chunk: Buffer): void {
    this.#received = Buffer.concat([this.#received, chunk]);
    if (!this.isOpen) {
      const end = this.#received.indexOf("\r\n\r\n");
      if (end < 0) return;
      this.isOpen = true;
      this.#received = this.#received.subarray(end + 4);
    }
    for (;;) {
      const end = 2 + (this.#received[1] ?? Number.POSITIVE_INFINITY);
      if (this.#received.byteLength < end) return;
      this.frames.push({ opcode: this.#received[0]! & 0x0f, payload: this.#received.subarray(2, end) });
      this.#received = this.#received.subarray(end);
    }
  }

  /** What the server's close frame says; undefined while none has come. */
  get close(): { code: number; words: string } | undefined {
    const payload = this.frames.find(({ opcode }) => opcode === 8)?.payload;
    return payload && { code: payload.readUInt16BE(0), words: `${payload.subarray(2)}` };
  }

  /** How many pongs have come. */
  get pongs(): number {
    return this.frames.filter(({ opcode }) => opcode === 10).length;
  }
}
