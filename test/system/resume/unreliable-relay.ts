import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** A TCP relay on loopback whose connections the test ends, or silences. */
export class UnreliableRelay {
  readonly #server: Server;
  readonly #pairs = new Set<[Socket, Socket]>();
  /** Those over which nothing passes any more, not even an end. */
  readonly #silent = new WeakSet<[Socket, Socket]>();
  /** How many connections went through it. */
  connections = 0;
  /** Bytes that came from where it connects to, and from those who connect to it. */
  bytes = 0;
  /** Whether new connections are refused. */
  isDown = false;
  /** Whether connections are ended over which a WebSocket is asked for, as a proxy may do it. */
  hasNoWebSockets = false;
  /** Whether nothing passes over new connections, as in a network that drops all packets. */
  isBlackHole = false;

  private constructor(to: number) {
    this.#server = createServer((near) => {
      near.on("error", () => {});
      if (this.isDown) return near.destroy();
      this.connections++;
      const far = connect(to, "127.0.0.1");
      const pair: [Socket, Socket] = [near, far];
      this.#pairs.add(pair);
      far.on("error", () => {});
      const end = () => {
        if (this.#silent.has(pair)) return;
        this.#pairs.delete(pair);
        near.destroy();
        far.destroy();
      };
      near.on("close", end);
      far.on("close", end);
      if (this.isBlackHole) return this.#silence(pair);
      near.on("data", (data: Buffer) => {
        if (this.hasNoWebSockets && /\r\nUpgrade: websocket\r\n/i.test(data.toString("latin1"))) end();
      });
      for (const socket of pair)
        socket.on("data", ({ byteLength }) => {
          this.bytes += byteLength;
        });
      near.pipe(far);
      far.pipe(near);
    });
  }

  /** @param to a port of 127.0.0.1 */
  static async start(to: number): Promise<UnreliableRelay> {
    const relay = new UnreliableRelay(to);
    relay.#server.listen(0, "127.0.0.1");
    await once(relay.#server, "listening");
    return relay;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Ends every connection without a word. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.resetAndDestroy();
  }

  /** Nothing passes any more over the connections that there are, and neither side is told, nor of the end of the other one. */
  silence(): void {
    for (const pair of this.#pairs) this.#silence(pair);
  }

  async close(): Promise<void> {
    this.isDown = true;
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }

  /** What comes in is thrown away. */
  #silence(pair: [Socket, Socket]): void {
    this.#silent.add(pair);
    for (const socket of pair) socket.unpipe().resume();
  }
}
