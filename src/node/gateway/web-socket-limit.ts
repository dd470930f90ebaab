import type { Duplex } from "node:stream";
import type { GatewayLimits } from "../config/limits.ts";
import { isLoopback } from "../loopback.ts";
import { networkOf } from "../network-of.ts";
import type { Refusal } from "./admission.ts";

/** Bounds how many WebSockets there are, of all clients together and from one network. */
export class WebSocketLimit {
  readonly #limits: Pick<GatewayLimits, "webSockets" | "webSocketsPerAddress">;
  #open = 0;
  readonly #openFrom = new Map<string, number>();

  constructor(limits: Pick<GatewayLimits, "webSockets" | "webSocketsPerAddress">) {
    this.#limits = limits;
  }

  /**
   * Says why there is no room for a WebSocket; undefined if there is. Then it counts until its socket closes.
   *
   * Those from this machine count only among all: its users share its addresses, and one could keep the others out.
   *
   * @param address of the client; "" on a unix socket
   */
  admit(socket: Duplex, address: string): Refusal | undefined {
    const { webSockets, webSocketsPerAddress } = this.#limits;
    if (this.#open >= webSockets) {
      return {
        status: 503,
        words: "there are too many WebSockets",
        advice: `there are ${this.#open} WebSockets, which is the limit ("max-websockets")`,
      };
    }
    const network = address === "" || isLoopback(address) ? undefined : networkOf(address);
    const from = network === undefined ? 0 : (this.#openFrom.get(network) ?? 0);
    if (network !== undefined && from >= webSocketsPerAddress) {
      return {
        status: 429,
        words: "there are too many WebSockets from your address",
        advice: `there are ${from} WebSockets from ${network}, which is the limit ("max-websockets-per-address")`,
      };
    }
    this.#open++;
    if (network !== undefined) this.#openFrom.set(network, from + 1);
    socket.once("close", () => {
      this.#open--;
      if (network !== undefined) this.#left(network);
    });
    return undefined;
  }

  #left(network: string): void {
    const from = this.#openFrom.get(network)! - 1;
    if (from === 0) this.#openFrom.delete(network);
    else this.#openFrom.set(network, from);
  }
}
