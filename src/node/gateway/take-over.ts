import type { IncomingHttpHeaders } from "node:http";
import type { ForOthers } from "../../streams/for-others.ts";
import { TAKEN_OVER } from "../../transport/close-codes.ts";
import { InUseError } from "./in-use-error.ts";

/** The subprotocol of a WebSocket that asks to take a configuration over; it is not echoed. */
const SUBPROTOCOL = "take-over";

/** The end of a session whose place somebody else takes. The other side is told so with a close code that nobody retries. */
export class TakenOverError extends Error implements ForOthers {
  override name = "TakenOverError";
  readonly closeCode = TAKEN_OVER;

  /** @param address of the one who takes it over; "" on a unix socket */
  constructor(address: string) {
    super(`taken over by ${address || "another session"}`);
  }

  get forOthers(): string {
    return this.message;
  }
}

/** The session that has the place stays, as its configuration says. */
export class NoTakeOverError extends Error implements ForOthers {
  override name = "NoTakeOverError";
  readonly forOthers: string;

  constructor(message: string, forOthers: string) {
    super(message);
    this.forOthers = forOthers;
  }
}

/** Whether a request for a WebSocket asks to take a configuration over. */
export function asksToTakeOver(headers: IncomingHttpHeaders): boolean {
  const protocols = headers["sec-websocket-protocol"]?.split(",").map((one) => one.trim());
  return protocols?.includes(SUBPROTOCOL) || headers["nbd-take-over"] === "1";
}

/** What a newcomer needs to take a place over. */
export interface TakeOver {
  /** The address of the newcomer. */
  readonly by: string;
  readonly isAllowed: boolean;
  /** Milliseconds between two takeovers of the place, at least. */
  readonly interval: number;
}

/** How often places are taken over. */
export class TakeOvers {
  readonly #last = new Map<string, number>();
  readonly #now: () => number;

  /** @param now milliseconds of a clock that never goes back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /**
   * Finds out whether a place may be taken over now.
   * @throws Error when it may not
   */
  check(name: string, { isAllowed, interval }: TakeOver): void {
    const message = (words: string) => `configuration "${name}" was not taken over: ${words}`;
    if (!isAllowed) {
      const words = "this configuration cannot be taken over: its session has to end first";
      throw new NoTakeOverError(message(words), words);
    }
    const since = this.#now() - (this.#last.get(name) ?? Number.NEGATIVE_INFINITY);
    if (since < interval) {
      const [ago, left] = [Math.floor(since / 1000), Math.ceil((interval - since) / 1000)];
      const words = `this configuration was taken over ${ago} s ago; it can be again in ${left} s`;
      throw new InUseError(message(words), words);
    }
  }

  /**
   * Takes note of a takeover.
   * @throws Error as `check`
   */
  begin(name: string, takeOver: TakeOver): void {
    this.check(name, takeOver);
    this.#last.set(name, this.#now());
  }
}
