import { checkAmount, checkMethods } from "../../streams/check.ts";
import type { AsyncDisposable } from "../../streams/disposable.ts";
import type { Filter } from "../export.ts";
import { forward } from "./forward.ts";

export interface LinkMeterOptions {
  /** The most that is ever kept in flight, in bytes. */
  ceiling: number;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

/** A read that has been sent. */
interface Flight {
  sentAt: number;
  length: number;
  /** When it was sent: the bytes delivered until then, when the last of them arrived, and when those had been sent. */
  delivered: number;
  deliveredAt: number;
  deliveredSentAt: number;
  /** The pipe had been emptied when it was sent, so its time is that of the way alone. */
  isProbe: boolean;
  /** As much was in flight as should be when it was sent, so what was delivered until its answer is what the link can carry. */
  isFull: boolean;
}

/** Bytes that are kept in flight while the rate of the link is not known, and the least on a link that is not slow. */
const FLOOR = 1 << 18;

/** The least on a link so slow that `FLOOR` would delay other reads for longer than `PATIENCE`. */
const LEAST = 1 << 16;

/** Milliseconds that the link may take to deliver the floor. */
const PATIENCE = 250;

/** Round trips' worth of bytes in flight. It is more than one, so that a rate that grows is seen. */
const GAIN = 1.5;

/** The same until the rate has been found, which must take few round trips, even with a coarse clock. */
const FIRST_GAIN = 3;

/** The rate has been found when this many full pipes in a row were slower than `FASTER` times the fastest so far. */
const FULL_PIPES = 3;
const FASTER = 1.25;

/** The part of the highest rate that a full pipe has at least where answers come steadily. */
const STEADY = 0.7;

/** Milliseconds over which the rate of a pipe is judged. */
const EPOCH = 1000;

/** Milliseconds' worth of bytes in flight, at least: on short ways the programs need most of the time. */
const SHORT_WAY = 40;

/** A link is near when its round trip takes fewer milliseconds: to ask again costs less than to keep bytes. */
const NEAR = 2;

/** Milliseconds for which a measured rate, or the shortest round trip, is believed. */
const MEMORY = 10_000;

/** Milliseconds that the pipe is given to become empty. */
const DRAIN_TIME = 1000;

/**
 * Measures a link by its reads, and tells how much to keep in flight: bandwidth × delay. The bandwidth is the most that was
 * delivered during a read's flight, the delay is the shortest flight. Because what is in flight delays every other read, the
 * shortest flight is measured again now and then with the pipe nearly empty, as TCP BBR does.
 */
export class LinkMeter {
  readonly #ceiling: number;
  readonly #now: () => number;
  #outstanding = 0;
  #delivered = 0;
  #deliveredAt = 0;
  #deliveredSentAt = 0;
  /** The highest rates, in bytes a millisecond: of the period before, and of this one. */
  #rates: [number, number] = [0, 0];
  #rateSince = Number.NEGATIVE_INFINITY;
  #roundTrip = Number.POSITIVE_INFINITY;
  #roundTripAt = 0;
  #drainingSince: number | undefined;
  /** The rate to beat as long as the link's rate has not been found, and how many full pipes have not beaten it. */
  #plateau = { rate: 0, pipes: 0, until: 0 };

  /** How many times bandwidth × delay is kept in flight. It is more than one where something else than a queue delays answers. */
  #stretch = 1;
  /** `rate` is the one to beat before what is in flight is stretched further. */
  #epoch = { at: 0, delivered: 0, rate: 0, wasFull: false, wasFinding: true };

  constructor({ ceiling, now = () => performance.now() } = {} as LinkMeterOptions) {
    checkAmount(ceiling, "the ceiling of a link meter, in bytes,");
    this.#ceiling = ceiling;
    this.#now = now;
  }

  /** Bytes in flight now. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Milliseconds to the other end and back, as measured last; undefined before the first read. */
  get roundTrip(): number | undefined {
    return Number.isFinite(this.#roundTrip) ? this.#roundTrip : undefined;
  }

  /** Whether the other end is so near that a reader with several reads in flight waits only for the programs. */
  get isNear(): boolean {
    return this.#roundTrip < NEAR;
  }

  /** Bytes that should be in flight. What is read ahead stays below this; reads that are needed now may exceed it. */
  get target(): number {
    const rate = Math.max(...this.#rates);
    const floor = rate === 0 ? FLOOR : clamp(rate * PATIENCE, LEAST, FLOOR);
    if (this.#drainingSince !== undefined) return Math.min(floor, this.#ceiling);
    const gain = this.#plateau.pipes < FULL_PIPES ? FIRST_GAIN : GAIN;
    const delay = Math.max(gain * this.#roundTrip, SHORT_WAY);
    return Math.min(rate === 0 ? floor : Math.max(rate * delay, floor) * this.#stretch, this.#ceiling);
  }

  /** Takes note of a read that is being sent. */
  sent(length: number): Flight {
    const sentAt = this.#now();
    // What was delivered before an idle time tells nothing about the link.
    if (this.#outstanding === 0) this.#deliveredAt = this.#deliveredSentAt = sentAt;
    const isProbe = this.#drainingSince !== undefined && this.#outstanding < LEAST;
    this.#outstanding += length;
    return {
      sentAt,
      length,
      delivered: this.#delivered,
      deliveredAt: this.#deliveredAt,
      deliveredSentAt: this.#deliveredSentAt,
      isProbe,
      isFull: this.#outstanding > this.target / 2,
    };
  }

  /** Takes note of a read that has been answered. */
  answered(flight: Flight): void {
    this.#outstanding -= flight.length;
    this.#delivered += flight.length;
    const now = this.#now();
    const elapsed = now - flight.sentAt;
    this.#deliveredAt = now;
    this.#deliveredSentAt = flight.sentAt;
    // Answers that were delayed come all at once. The link is no faster than their requests were sent.
    const interval = Math.max(now - flight.deliveredAt, flight.sentAt - flight.deliveredSentAt);
    // The clock is too coarse to measure this read.
    if (interval <= 0) return;
    if (now - this.#rateSince > MEMORY) {
      this.#rates = [this.#rates[1], 0];
      this.#rateSince = now;
      this.#stretch = Math.max(1, this.#stretch / 2);
    }
    this.#rates[1] = Math.max(this.#rates[1], (this.#delivered - flight.delivered) / interval);
    this.#noteRoundTrip(elapsed, flight.isProbe, now);
    this.#notePlateau(flight);
    this.#noteEpoch(flight.isFull, now);
  }

  /** Takes note of a read that has failed. */
  failed(flight: Flight): void {
    this.#outstanding -= flight.length;
  }

  /** Notes once in each round trip whether the rate still grows. */
  #notePlateau({ isFull, delivered }: Flight) {
    const rate = Math.max(...this.#rates);
    const { pipes, until } = this.#plateau;
    if (rate > FASTER * this.#plateau.rate) this.#plateau = { rate, pipes: 0, until: this.#delivered };
    else if (isFull && delivered >= until) {
      this.#plateau = { ...this.#plateau, pipes: pipes + 1, until: this.#delivered };
    }
  }

  /**
   * The shortest flight is too short a delay where answers are delayed by something else than a queue, such as a wireless link
   * or a busy machine. Then a full pipe is slower than the link. More is kept in flight, as long as that helps.
   */
  #noteEpoch(isFull: boolean, now: number) {
    const epoch = this.#epoch;
    epoch.wasFull ||= isFull;
    const elapsed = now - epoch.at;
    if (elapsed < EPOCH) return;
    const rate = (this.#delivered - epoch.delivered) / elapsed;
    let toBeat = epoch.rate;
    if (epoch.wasFull && !epoch.wasFinding && rate < STEADY * Math.max(...this.#rates)) {
      if (rate > FASTER * toBeat) {
        this.#stretch *= 2;
        toBeat = rate;
      } else {
        this.#stretch = Math.max(1, this.#stretch / 2);
        toBeat *= STEADY;
      }
    }
    // An epoch that begins while the rate is still being found tells nothing.
    const wasFinding = this.#plateau.pipes < FULL_PIPES;
    this.#epoch = { at: now, delivered: this.#delivered, rate: toBeat, wasFull: false, wasFinding };
  }

  #noteRoundTrip(elapsed: number, isProbe: boolean, now: number) {
    if (elapsed <= this.#roundTrip || isProbe) {
      this.#roundTrip = elapsed;
      this.#roundTripAt = now;
      this.#drainingSince = undefined;
    } else if (this.#drainingSince === undefined) {
      if (now - this.#roundTripAt > MEMORY) this.#drainingSince = now;
    } else if (now - this.#drainingSince > DRAIN_TIME) {
      // Other reads keep the pipe full. The old round trip is believed until the next time.
      this.#roundTripAt = now;
      this.#drainingSince = undefined;
    }
  }
}

/** Measures the link behind the next export by the reads that go to it. */
export function metered(meter: LinkMeter): Filter<AsyncDisposable> {
  checkMethods(meter, "the meter", "a LinkMeter", ["sent", "answered"]);
  return (next) => ({
    ...forward(next),
    read(offset, length, options) {
      const flight = meter.sent(length);
      const reading = next.read(offset, length, options);
      reading.then(
        () => meter.answered(flight),
        () => meter.failed(flight),
      );
      return reading;
    },
  });
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
