import { deadline } from "../../streams/deadline.ts";
import type { Dialogue } from "../../streams/negotiate.ts";
import { type LinkError, NoAnswerError } from "../error.ts";

/** Seconds that a server has during the handshake; 0: for ever. */
export interface HandshakeTimes {
  /** For its greeting, all of it: the server is the first to speak. */
  greeting: number;
  /** For each of its later replies, all of it. */
  reply: number;
  /** For the whole handshake. */
  whole: number;
}

/** The times of one handshake. What is late is told once, with the error for it. */
export class HandshakeClock {
  readonly #times: HandshakeTimes;
  readonly #onLate: (error: LinkError) => void;
  #endWhole = () => {};
  #isGreeted = false;
  /** Milliseconds that the whole has taken before it was last paused, and when it went on. */
  #taken = 0;
  #since = 0;

  /** The time for the whole begins. */
  constructor(times: HandshakeTimes, onLate: (error: LinkError) => void) {
    this.#times = times;
    this.#onLate = onLate;
    this.goOn();
  }

  /** The time for the whole stops, until `goOn`. */
  pause(): void {
    this.#endWhole();
    this.#taken += performance.now() - this.#since;
  }

  /** The time for the whole goes on. What is left of it is at least the time of a reply: this process may have been stopped. */
  goOn(): void {
    const { whole, reply } = this.#times;
    this.#since = performance.now();
    const left = whole - this.#taken / 1000;
    this.#endWhole = this.#within(
      Math.min(whole, Math.max(left, reply || whole)),
      `did not end the handshake within ${whole} s`,
    );
  }

  /** The same dialogue, with a time for each message that is read. */
  over({ read, write }: Dialogue): Dialogue {
    return {
      write,
      read: async (parser, what) => {
        const seconds = this.#isGreeted ? this.#times.reply : this.#times.greeting;
        const end = this.#within(seconds, `did not answer for ${seconds} s`);
        try {
          return await read(parser, what);
        } finally {
          this.#isGreeted = true;
          end();
        }
      },
    };
  }

  /** Starts a time, and returns what ends it. */
  #within(seconds: number, fault: string): () => void {
    if (seconds === 0) return () => {};
    const onLate = () => this.#onLate(new NoAnswerError(`the server ${fault}`));
    return deadline(seconds * 1000, onLate);
  }
}
