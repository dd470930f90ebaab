import { deadline } from "../../streams/deadline.ts";
import type { Dialogue } from "../../streams/negotiate.ts";
import { LinkError } from "../error.ts";

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
  readonly #endWhole: () => void;
  #isGreeted = false;

  constructor(times: HandshakeTimes, onLate: (error: LinkError) => void) {
    this.#times = times;
    this.#onLate = onLate;
    this.#endWhole = this.#within(times.whole, "did not end the handshake within");
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

  /** Ends the time for the whole. */
  end(): void {
    this.#endWhole();
  }

  /** Starts a time, and returns what ends it. */
  #within(seconds: number, fault: string): () => void {
    if (seconds === 0) return () => {};
    const onLate = () => this.#onLate(new LinkError(`the server ${fault} ${seconds} s`));
    return deadline(seconds * 1000, onLate);
  }
}
