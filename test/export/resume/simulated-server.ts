/** A server with a disk, links to it that can be cut, and crashes that lose what was not flushed. */
import { GoneError } from "../../../src/export/error.ts";
import type { Export, RangeOptions } from "../../../src/export/export.ts";
import type { Opened } from "../../../src/export/resume/resume.ts";
import { type Deferred, deferred } from "../../../src/streams/deferred.ts";
import type { Clock } from "../../simulated-link.ts";
import type { Seeded } from "./seeded.ts";

/** Milliseconds that a request, and its answer, are on their way at most: each its own time, so they overtake each other. */
const WAY = 20;
/** Milliseconds for which what was sent on a link that was cut is held back at most, and after which its fate is told at most. */
const HELD_BACK = 200;
const LATE = 100;

interface Request {
  readonly perform: () => void;
  readonly fail: (error: Error) => void;
  /** Tells what was found when it reached the disk. */
  readonly answer: () => void;
  /** It has reached the disk, or never will. */
  isOver: boolean;
}

/** A link to the server. */
class ServerLink {
  readonly requests = new Set<Request>();
  readonly end: Deferred<void> = deferred();
  isCut = false;
}

export interface ServerOptions {
  /** Whether what comes late on an old link reaches the disk after a new link is there. Default true: it does not. */
  isFenced?: boolean;
  /** Whether it tells its incarnation. Default true. */
  tellsIncarnation?: boolean;
}

/** A disk of bytes with a cache that is lost in a crash, behind one link at a time. */
export class SimulatedServer {
  /** What is on stable storage. */
  readonly stable: Uint8Array;
  /** What was changed and not flushed, oldest first: values by offset. */
  #unflushed: Map<number, number>[] = [];
  #incarnation = 0;
  /** Requests of links that were cut, which come late. */
  readonly #late = new Set<Request>();
  #link: ServerLink | undefined;
  readonly #clock: Clock;
  readonly #random: Seeded;
  readonly #options: ServerOptions;

  constructor(size: number, clock: Clock, random: Seeded, options: ServerOptions = {}) {
    this.stable = new Uint8Array(size);
    this.#clock = clock;
    this.#random = random;
    this.#options = options;
  }

  /** What a reader would see. */
  get view(): Uint8Array {
    const view = this.stable.slice();
    for (const values of this.#unflushed) for (const [at, value] of values) view[at] = value;
    return view;
  }

  /** A new link. What is late of the old ones is finished or dropped before. */
  open(): Opened {
    this.cut();
    if (this.#options.isFenced ?? true) {
      for (const request of this.#late) {
        if (this.#random.chance(0.5)) request.perform();
        request.isOver = true;
      }
      this.#late.clear();
    }
    const link = new ServerLink();
    this.#link = link;
    const tells = this.#options.tellsIncarnation ?? true;
    return {
      target: this.#exportOf(link),
      ended: link.end.promise,
      incarnation: tells ? `start ${this.#incarnation}` : undefined,
    };
  }

  /**
   * Ends the link. Each request that has not reached the disk is lost, or comes late. No answer comes any more, but for some that
   * are found late.
   */
  cut(): void {
    const link = this.#link;
    if (!link) return;
    this.#link = undefined;
    link.isCut = true;
    const gone = new GoneError("the link was cut");
    for (const request of link.requests) {
      const tell = request.isOver ? request.answer : () => request.fail(gone);
      if (this.#random.chance(0.3)) this.#clock.at(this.#clock.now() + this.#random.whole(1, LATE), tell);
      else request.fail(gone);
      if (request.isOver || this.#random.chance(0.5)) request.isOver = true;
      else this.#holdBack(request);
    }
    if (this.#random.chance(0.5)) link.end.resolve();
    else link.end.reject(gone);
  }

  /** Crashes and starts anew: of what was not flushed any part may be lost. */
  restart(): void {
    this.cut();
    this.#incarnation++;
    const isTorn = this.#random.chance(0.3);
    const survive = this.#random.one([0, 0.5, 0.5, 1]);
    for (const values of this.#unflushed) {
      const survives = this.#random.chance(survive);
      for (const [at, value] of values) {
        if (isTorn ? this.#random.chance(survive) : survives) this.stable[at] = value;
      }
    }
    this.#unflushed = [];
  }

  #holdBack(request: Request) {
    this.#late.add(request);
    this.#clock.at(this.#clock.now() + this.#random.whole(1, HELD_BACK), () => {
      this.#late.delete(request);
      if (!request.isOver) request.perform();
      request.isOver = true;
    });
  }

  #exportOf(link: ServerLink): Export {
    const clear = (offset: number, length: number, options?: RangeOptions) =>
      this.#send(link, () => this.#put(offset, new Uint8Array(length), options?.fua));
    return {
      size: this.stable.length,
      read: (offset, length) => this.#send(link, () => this.view.slice(offset, offset + length)),
      write: (offset, data, options) => {
        const sent = data.slice();
        return this.#send(link, () => this.#put(offset, sent, options?.fua));
      },
      trim: clear,
      writeZeroes: clear,
      flush: () => this.#send(link, () => this.#flush()),
      close: async () => {
        if (this.#link === link) this.cut();
      },
    };
  }

  #send<T>(link: ServerLink, perform: () => T): Promise<T> {
    if (link.isCut) return Promise.reject(new GoneError("the link was cut before"));
    const answer = deferred<T>();
    let result: { value: T } | undefined;
    const request: Request = {
      perform: () => {
        result = { value: perform() };
      },
      fail: answer.reject,
      answer: () => answer.resolve(result!.value),
      isOver: false,
    };
    link.requests.add(request);
    this.#after(() => {
      if (request.isOver || link.isCut) return;
      request.perform();
      request.isOver = true;
      this.#after(() => {
        link.requests.delete(request);
        if (!link.isCut) answer.resolve(result!.value);
      });
    });
    return answer.promise;
  }

  #after(run: () => void) {
    this.#clock.at(this.#clock.now() + this.#random.whole(1, WAY), run);
  }

  #put(offset: number, data: Uint8Array, isStable = false): void {
    const values = new Map([...data].map((value, i) => [offset + i, value]));
    if (!isStable) {
      this.#unflushed.push(values);
      return;
    }
    for (const [at, value] of values) {
      for (const older of this.#unflushed) older.delete(at);
      this.stable[at] = value;
    }
  }

  #flush(): void {
    this.stable.set(this.view);
    this.#unflushed = [];
  }
}
