/** An export at the other end of a link that is simulated, with a clock of its own: tests count, they don't time. */
import type { Export } from "../src/export/export.ts";

/** A clock that goes on only when everything has happened that can happen without it. */
export class Clock {
  #time = 0;
  #events: { at: number; run: () => void }[] = [];

  /** Milliseconds. */
  readonly now = () => this.#time;

  /** Resolves after so many milliseconds of this clock. */
  sleep(milliseconds: number): Promise<void> {
    return new Promise((resolve) => {
      this.at(this.#time + milliseconds, resolve);
    });
  }

  at(time: number, run: () => void) {
    let index = this.#events.length;
    while (index > 0 && this.#events[index - 1]!.at > time) index--;
    this.#events.splice(index, 0, { at: time, run });
  }

  /** Lets the time go by until the promise has settled; fails when nothing is left that could settle it. */
  async run<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false;
    const settle = () => {
      isSettled = true;
    };
    promise.then(settle, settle);
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isSettled) return promise;
      const event = this.#events.shift();
      if (!event) throw new Error("it waits for something that never comes");
      this.#time = Math.max(this.#time, event.at);
      event.run();
    }
  }
}

export interface LinkOptions {
  /** Milliseconds. */
  roundTrip: number;
  /** Bytes a second on the way back. Default: no limit. */
  rate?: number;
  /** Milliseconds that an answer, and those behind it, are held up besides. Default: none. */
  jitter?: () => number;
}

/** What was asked for at the other end. */
export interface Traffic {
  requests: number;
  bytes: number;
  longest: number;
  outstanding: number;
  mostOutstanding: number;
  /** Offsets and lengths, in the order in which they were asked for. */
  asked: [number, number][];
}

/** The export behind a link: replies come in the order of the requests, as fast as the link carries them. */
export function overLink(
  next: Export,
  clock: Clock,
  { roundTrip, rate = Number.POSITIVE_INFINITY, jitter = () => 0 }: LinkOptions,
): { link: Export; traffic: Traffic } {
  const traffic: Traffic = {
    requests: 0,
    bytes: 0,
    longest: 0,
    outstanding: 0,
    mostOutstanding: 0,
    asked: [],
  };
  let busyUntil = 0;
  let arrivedAt = 0;
  const link: Export = {
    ...next,
    async read(offset, length, options) {
      traffic.requests++;
      traffic.bytes += length;
      traffic.longest = Math.max(traffic.longest, length);
      traffic.outstanding += length;
      traffic.mostOutstanding = Math.max(traffic.mostOutstanding, traffic.outstanding);
      traffic.asked.push([offset, length]);
      await clock.sleep(roundTrip / 2);
      const payload = await next.read(offset, length, options);
      busyUntil = Math.max(busyUntil, clock.now()) + (length / rate) * 1000;
      arrivedAt = Math.max(arrivedAt, busyUntil + roundTrip / 2 + jitter());
      await clock.sleep(arrivedAt - clock.now());
      traffic.outstanding -= length;
      return payload;
    },
  };
  return { link, traffic };
}
