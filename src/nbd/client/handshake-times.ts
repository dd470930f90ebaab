import { deadline } from "../../streams/deadline.ts";
import type { Dialogue } from "../../streams/negotiate.ts";
import { LinkError } from "../error.ts";

/** Seconds that a server has during the handshake; 0: for ever. */
export interface HandshakeTimes {
  /** For its greeting, all of it: the server is the first to speak. */
  greeting: number;
  /** For each of its later replies, all of it. */
  reply: number;
  /** For the whole handshake, but for the time that it waits for us. */
  whole: number;
}

const WHOLE = "did not end the handshake within";

/** The times of one handshake. What is late is told once, with the error for it. */
export class HandshakeClock {
  readonly #times: HandshakeTimes;
  readonly #onLate: (error: LinkError) => void;
  readonly #since = performance.now();
  #endWhole: () => void;
  #isGreeted = false;
  #isOver = false;

  constructor(times: HandshakeTimes, onLate: (error: LinkError) => void) {
    this.#times = times;
    this.#onLate = onLate;
    this.#endWhole = this.#within(times.whole, WHOLE);
  }

  /** The same dialogue, with a time for each message that is read. */
  over({ read, write }: Dialogue): Dialogue {
    return {
      write,
      read: async (parser, what) => {
        const seconds = this.#isGreeted ? this.#times.reply : this.#times.greeting;
        const end = this.#within(seconds, "did not answer for");
        try {
          return await read(parser, what);
        } finally {
          this.#isGreeted = true;
          end();
        }
      },
    };
  }

  /** Does something of ours that the server has to wait for; the time for the whole stands still. */
  async whileStopped(work: () => Promise<void>): Promise<void> {
    this.#endWhole();
    const left = this.#times.whole * 1000 - (performance.now() - this.#since);
    await work();
    if (!this.#isOver) this.#endWhole = this.#within(this.#times.whole, WHOLE, Math.max(left, 0));
  }

  /** Ends the time for the whole. */
  end(): void {
    this.#isOver = true;
    this.#endWhole();
  }

  /** Starts a time, of which `left` milliseconds are left, and returns what ends it. */
  #within(seconds: number, fault: string, left = seconds * 1000): () => void {
    if (seconds === 0) return () => {};
    return deadline(left, () => this.#onLate(new LinkError(`the server ${fault} ${seconds} s`)));
  }
}
