/**
 * A link of a given length and rate between two sockets of this machine, as a process of its own (`forkRelay`) or in
 * this one (`relay`). Each connection to where it listens is a link of its own, unless they share one. How long a connection takes to be made
 * is not simulated.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type ListenOptions, type Socket } from "node:net";

/** The path of a unix socket, or a port of 127.0.0.1. */
export type Place = string | number;

/** A port of another address, where there is a network of its own. */
export interface Elsewhere {
  host: string;
  port: number;
}

export interface RelayOptions {
  /** Where it listens; port 0 is one that is free. */
  listen: Place | Elsewhere;
  to: Place | Elsewhere;
  /** Milliseconds: each direction takes half of it. Default: none. */
  roundTrip?: number;
  /** Bytes a second in each direction. Default: any. */
  rate?: number;
  /** Whether all connections together have that rate. Default: each has it. */
  isShared?: boolean;
}

/** Bytes that went through, from those who connected and to them. */
export interface Counts {
  connections: number;
  there: number;
  back: number;
}

export interface Relay {
  /** Where it listens: the path, or the port. */
  place: Place;
  counts(): Promise<Counts>;
  /** Breaks off all that goes through it, on both sides at once. Resolves when that is done. */
  cut(): Promise<void>;
  /** Ends all that goes through it. */
  close(): Promise<void>;
}

/** What a link of a limited rate takes at a time: the last byte of a piece is what holds up the first. */
const PIECE = 1 << 14;

/** Milliseconds of the link's time that may wait in front of it; then the sender waits, as for a router that is full. */
const QUEUE = 20;

/** Bytes that may wait for a receiver which does not read. */
const UNREAD = 1 << 20;

/** Timers are whole milliseconds: what is due in less than half of one is due. */
const SOON = 0.5;

/** One direction of a link, and when it has sent all that it was given. */
interface Line {
  freeAt: number;
}

export async function relay({
  listen,
  to,
  roundTrip = 0,
  rate,
  isShared = false,
}: RelayOptions): Promise<Relay> {
  const counts: Counts = { connections: 0, there: 0, back: 0 };
  const sockets = new Set<Socket>();
  const lineThere: Line = { freeAt: 0 };
  const lineBack: Line = { freeAt: 0 };
  const lineOf = (line: Line) => (isShared ? line : { freeAt: 0 });
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    counts.connections++;
    const far = connect({ ...address(to), allowHalfOpen: true, noDelay: true });
    for (const socket of [near, far]) {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
    }
    oneWay(near, far, roundTrip / 2, rate, lineOf(lineThere), (bytes) => {
      counts.there += bytes;
    });
    oneWay(far, near, roundTrip / 2, rate, lineOf(lineBack), (bytes) => {
      counts.back += bytes;
    });
  });
  server.listen(address(listen));
  await once(server, "listening");
  return {
    place: typeof listen === "string" ? listen : (server.address() as AddressInfo).port,
    counts: async () => ({ ...counts }),
    async cut() {
      for (const socket of sockets) socket.resetAndDestroy();
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function address(place: Place | Elsewhere): ListenOptions & { port: number } {
  if (typeof place === "object") return place;
  // What connects and what listens tell a path from a port by which of them is there.
  return (
    typeof place === "string" ? { path: place } : { host: "127.0.0.1", port: place }
  ) as ListenOptions & {
    port: number;
  };
}

/** One direction of a link: what comes in goes out in the same order, each thing when its time has come. */
function oneWay(
  from: Socket,
  to: Socket,
  delay: number,
  rate = Number.POSITIVE_INFINITY,
  line: Line,
  count: (bytes: number) => void,
) {
  const underway: { due: number; act: () => void }[] = [];
  let timer: NodeJS.Timeout | undefined;

  function send(length: number, act: () => void) {
    const now = performance.now();
    line.freeAt = Math.max(line.freeAt, now) + (length / rate) * 1000;
    underway.push({ due: line.freeAt + delay, act });
    arrive();
  }

  function arrive() {
    if (timer) return;
    for (;;) {
      const first = underway[0];
      if (!first) break;
      const left = first.due - performance.now();
      if (left >= SOON) {
        timer = setTimeout(
          () => {
            timer = undefined;
            arrive();
          },
          Math.max(1, Math.round(left)),
        );
        break;
      }
      underway.shift();
      first.act();
    }
    letIn();
  }

  let isHeld = false;

  /** The sender waits for a queue that is full, and for a receiver that does not read. */
  function letIn() {
    if (isHeld) return;
    const wait = line.freeAt - performance.now() - QUEUE;
    const isUnread = to.writableLength > UNREAD;
    isHeld = isUnread || wait > 0;
    if (!isHeld) {
      if (from.isPaused()) from.resume();
      return;
    }
    from.pause();
    const lookAgain = () => {
      isHeld = false;
      letIn();
    };
    if (isUnread) to.once("drain", lookAgain);
    else setTimeout(lookAgain, Math.max(1, wait));
  }

  from.on("data", (chunk: Buffer) => {
    const length = rate === Number.POSITIVE_INFINITY ? chunk.length : PIECE;
    for (let at = 0; at < chunk.length; at += length) {
      const piece = chunk.subarray(at, at + length);
      send(piece.length, () => {
        count(piece.length);
        if (to.writable) to.write(piece);
      });
    }
  });
  let hasEnded = false;
  from.once("end", () => {
    hasEnded = true;
    send(0, () => to.end());
  });
  from.on("error", () => {});
  from.once("close", () => {
    // A connection that broke off breaks off there too.
    if (!hasEnded) send(0, () => to.destroy());
  });
}

/** The same in a process of its own, whose work does not take time from this one's. */
export async function forkRelay(options: RelayOptions): Promise<Relay> {
  const child = fork(new URL(import.meta.url), [FORKED, JSON.stringify(options)]);
  const gone = once(child, "exit");
  async function answer<T>(): Promise<T> {
    const [message] = await Promise.race([
      once(child, "message"),
      gone.then(() => Promise.reject(new Error("the relay has ended"))),
    ]);
    return message as T;
  }
  const place = await answer<Place>();
  return {
    place,
    counts() {
      const counts = answer<Counts>();
      child.send("counts");
      return counts;
    },
    async cut() {
      const done = answer<"cut">();
      child.send("cut");
      await done;
    },
    async close() {
      child.disconnect();
      await gone;
    },
  };
}

const FORKED = "--relay";

if (process.argv[2] === FORKED && process.send) {
  const running = await relay(JSON.parse(process.argv[3]!) as RelayOptions);
  process.on("message", async (asked) => {
    if (asked !== "cut") return process.send!(await running.counts());
    await running.cut();
    process.send!("cut");
  });
  process.on("disconnect", () => process.exit());
  process.send(running.place);
}
