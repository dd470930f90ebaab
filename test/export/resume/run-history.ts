/** One random history of a disk behind links that are cut and a server that crashes, judged by a memory model. */
import { OrderedChanges } from "../../../src/export/resume/ordered-changes.ts";
import { type Parts, Resumed } from "../../../src/export/resume/resume.ts";
import { UnflushedChanges } from "../../../src/export/resume/unflushed-changes.ts";
import { UnflushedMemory } from "../../../src/export/resume/unflushed-memory.ts";
import { deferred } from "../../../src/streams/deferred.ts";
import { Clock } from "../../simulated-link.ts";
import { DiskHistory } from "./disk-history.ts";
import { Seeded } from "./seeded.ts";
import { SimulatedServer } from "./simulated-server.ts";

const SIZE = 24;
/** Milliseconds in which everything is asked for, and everything happens. */
const TIME = 400;

/** What of it is made otherwise, to see that it is needed. */
export interface Variant {
  isFenced?: boolean;
  parts?(parts: Parts): Partial<Parts>;
}

/**
 * Runs the history of a seed to its end.
 * @throws Error with what was found and should not be
 */
export async function runHistory(seed: number, { isFenced = true, parts }: Variant = {}): Promise<void> {
  const random = new Seeded(seed);
  const clock = new Clock();
  const tellsIncarnation = random.chance(0.8);
  const server = new SimulatedServer(SIZE, clock, random, { isFenced, tellsIncarnation });
  const history = new DiskHistory();
  const faults: string[] = [];
  const fault = (what: string, words: string | undefined) => {
    if (words) faults.push(`at ${clock.now()} ms, ${what}: ${words}`);
  };

  const memory = new UnflushedMemory(random.one([0, 1200, 3000, 1 << 25]));
  const held = { calls: random.one([1, 3, 1000]), bytes: random.one([1, 8, 1000]) };
  let trouble = random.whole(0, 4);
  const share = memory.share(() => resumed.relieve());
  const whole: Parts = { order: new OrderedChanges(), unflushed: new UnflushedChanges(share) };
  const options = {
    held,
    log: (line: string) => fault("a line", line),
    open: async () => {
      await clock.sleep(random.whole(1, 40));
      // Trouble seldom comes alone: links are lost while what was lost is sent again.
      const soon = clock.now() + random.whole(1, 40);
      if (trouble-- > 0) clock.at(soon, () => (random.chance(0.3) ? server.restart() : server.cut()));
      return server.open();
    },
  };
  const resumed: Resumed = new Resumed(server.open(), options, { ...whole, ...parts?.(whole) }, () =>
    share.close(),
  );
  const disk = resumed.export;

  /** Signals are rare: a call that is given up says less than one that is answered. */
  const perhapsGivenUp = (): AbortSignal | undefined => {
    if (!random.chance(0.05)) return undefined;
    const controller = new AbortController();
    clock.at(clock.now() + random.whole(0, 100), () => controller.abort(new Error("given up")));
    return controller.signal;
  };

  let counter = 0;
  async function change(start: number, length: number) {
    const way = random.one(["write", "write", "write", "trim", "writeZeroes"] as const);
    // Each byte of each write is another one.
    const data = Uint8Array.from({ length }, () => (way === "write" ? (counter++ % 250) + 1 : 0));
    const fua = random.chance(0.2);
    const signal = perhapsGivenUp();
    const settings = { fua, ...(signal && { signal }) };
    const asked = history.asked(start, data.slice());
    if (way === "write") await disk.write!(start, data, settings);
    else await disk[way]!(start, length, settings);
    // The caller's memory is the caller's again.
    data.fill(255);
    asked.acknowledged = history.now();
    const found = server.stable.slice(start, start + length);
    if (fua) fault(`${way} of ${length} at ${start}, FUA`, history.fault(found, start, history.now()));
  }

  async function read(start: number, length: number) {
    const since = history.now();
    const signal = perhapsGivenUp();
    const found = await disk.read(start, length, signal && { signal });
    fault(`read of ${length} at ${start}`, history.fault(found, start, since));
  }

  async function flush() {
    const since = history.now();
    await disk.flush!();
    fault("flush", history.fault(server.stable, 0, since));
  }

  const all = deferred();
  const count = random.whole(5, 60);
  let left = count;
  for (let i = 0; i < count; i++) {
    clock.at(random.whole(0, TIME), () => {
      const start = random.whole(0, SIZE - 1);
      const length = random.whole(1, Math.min(8, SIZE - start));
      const call = random.one([change, change, change, read, random.chance(0.5) ? flush : change]);
      call(start, length)
        .catch((error) => error.message === "given up" || fault("a call", error.message))
        .finally(() => --left === 0 && all.resolve());
    });
  }
  for (let i = random.whole(0, 5); i > 0; i--) clock.at(random.whole(0, TIME), () => server.cut());
  for (let i = random.whole(0, 3); i > 0; i--) clock.at(random.whole(0, TIME), () => server.restart());

  await clock.run(all.promise);
  await clock.run(flush());
  // What comes late on an old link comes now.
  await clock.run(clock.sleep(1000));
  fault("the end, what is stable", history.fault(server.stable, 0, history.now()));
  fault("the end, what is seen", history.fault(server.view, 0, history.now()));
  fault("the end, what is not flushed", disk.unflushed(0, SIZE) ? "there is something" : undefined);
  fault("the end, memory", memory.used !== 0 ? `${memory.used} bytes are held` : undefined);
  await clock.run(disk.close());
  if (faults.length > 0) throw new Error(faults.join("\n"));
}
