import { checkAmount, checkMethods } from "../../streams/check.ts";
import type { Filter } from "../export.ts";
import { forward } from "./forward.ts";

export interface PaceOptions {
  /** The most that is ever kept in flight, in bytes. */
  ceiling: number;
  /** Milliseconds of a clock that never goes back. */
  now?: () => number;
}

/** A read that has been sent. */
interface Flight {
  sentAt: number;
  length: number;
  /** What had been delivered when it was sent, when the last of it was, and when that had been sent itself. */
  delivered: number;
  deliveredAt: number;
  deliveredSentAt: number;
  /** It was sent into a pipe that had been emptied, so that its time is that of the way alone. */
  isProbe: boolean;
  /** It was sent when as much was in flight as should be: what was delivered until its answer is what the link can. */
  isFull: boolean;
}

/** What is kept in flight while the link is not known, and at least on one that is not slow. */
const FLOOR = 1 << 18;

/** The least ever, on links so slow that `FLOOR` would delay others for longer than `PATIENCE`. */
const LEAST = 1 << 16;

/** Milliseconds of a link's time that the floor may take. */
const PATIENCE = 250;

/** Round trips' worth of bytes in flight. More than one, or a rate that grows would never be seen. */
const GAIN = 1.5;

/** The same until the link's rate has been found: it must be found in few round trips, with clocks that are noisy. */
const FIRST_GAIN = 3;

/** The rate has been found when this many full pipes in a row were no faster than `FASTER` times the fastest. */
const FULL_PIPES = 3;
const FASTER = 1.25;

/** The part of the highest rate that a full pipe has on a link whose answers come steadily. */
const STEADY = 0.7;

/** Milliseconds over which it is seen whether a pipe has that rate. */
const EPOCH = 1000;

/** Milliseconds' worth of bytes in flight at least: on short ways it is the programs that take their time. */
const SHORT_WAY = 40;

/** A way this short, in milliseconds, is no reason to keep anything: there and back costs less than keeping account. */
const NEAR = 2;

/** Milliseconds after which a measured rate, or a round trip that was not seen again, is no longer believed. */
const MEMORY = 10_000;

/** Milliseconds that the pipe may take to become empty. */
const DRAIN_TIME = 1000;

/**
 * How much to keep in flight on a link, from how its reads went: bandwidth × delay. The bandwidth is the most that
 * was delivered during a read's flight, the delay the shortest flight. As what is in flight delays every other
 * read, the shortest flight must be measured again now and then with the pipe nearly empty (as TCP BBR does it).
 */
export class Pace {
  readonly #ceiling: number;
  readonly #now: () => number;
  #outstanding = 0;
  #delivered = 0;
  #deliveredAt = 0;
  #deliveredSentAt = 0;
  /** The highest rate, in bytes a millisecond, of this period and of the one before. */
  #rates: [number, number] = [0, 0];
  #rateSince = Number.NEGATIVE_INFINITY;
  #roundTrip = Number.POSITIVE_INFINITY;
  #roundTripAt = 0;
  #drainingSince: number | undefined;
  /** The rate that would have to be beaten for the link's to count as not found yet, and how often it was not. */
  #plateau = { rate: 0, pipes: 0, until: 0 };

  /** How many times bandwidth × delay is kept in flight where answers are held up otherwise than by a queue. */
  #stretch = 1;
  /** `rate` is the one to beat, before what is in flight is stretched further. */
  #epoch = { at: 0, delivered: 0, rate: 0, wasFull: false, wasFinding: true };

  constructor({ ceiling, now = () => performance.now() } = {} as PaceOptions) {
    checkAmount(ceiling, "the ceiling of a pace, in bytes,");
    this.#ceiling = ceiling;
    this.#now = now;
  }

  /** Bytes in flight now. */
  get outstanding(): number {
    return this.#outstanding;
  }

  /** Whether the other end is so near that a reader with several reads in flight waits for nothing but the programs. */
  get isNear(): boolean {
    return this.#roundTrip < NEAR;
  }

  /** Bytes that should be in flight. Whoever reads ahead stays below; those who need the bytes now need not. */
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
    // What happened before an idle time says nothing of the link.
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
    // Answers that were held up come all at once. The link is no faster than what they answer was sent.
    const interval = Math.max(now - flight.deliveredAt, flight.sentAt - flight.deliveredSentAt);
    // A clock that is too coarse for a read says nothing of it.
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

  /** Once for each round trip: whether the rate still grows. */
  #notePlateau({ isFull, delivered }: Flight) {
    const rate = Math.max(...this.#rates);
    const { pipes, until } = this.#plateau;
    if (rate > FASTER * this.#plateau.rate) this.#plateau = { rate, pipes: 0, until: this.#delivered };
    else if (isFull && delivered >= until) {
      this.#plateau = { ...this.#plateau, pipes: pipes + 1, until: this.#delivered };
    }
  }

  /**
   * The shortest flight promises too much where answers are held up, as on a wireless link or by a busy machine: then
   * the pipe is full and yet slower than it can be. More in flight helps, or it was no use and is taken back.
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
    // An epoch that begins while the rate is still being found says nothing.
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
      // Others keep the pipe full; what is known must do until the next time.
      this.#roundTripAt = now;
      this.#drainingSince = undefined;
    }
  }
}

/** Measures the reads that go to the next export. */
export function paced(pace: Pace): Filter {
  checkMethods(pace, "the pace", "a Pace", ["sent", "answered"]);
  return (next) => ({
    ...forward(next),
    read(offset, length, options) {
      const flight = pace.sent(length);
      const reading = next.read(offset, length, options);
      reading.then(
        () => pace.answered(flight),
        () => pace.failed(flight),
      );
      return reading;
    },
  });
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
