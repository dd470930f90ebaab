/** What happens to the links of a session while a test has something else done. */
import { setTimeout as sleep } from "node:timers/promises";
import { type Running, until } from "../../harness.ts";
import type { ThroughRelay } from "./through-relay.ts";

/** Milliseconds after which a link should be there again: who serves may notice a silent one after 15 s, and try again for 10 s. */
const BACK = 60_000;

/** Spoils the link now and then, until the signal. */
export type Spoil = (scene: Pick<ThroughRelay, "relay" | "gateway">, signal: AbortSignal) => Promise<void>;

/** How often the link was lost and is there again, as a gateway tells. */
export const timesBack = ({ stderr }: Running): number => stderr.match(/the link is back/g)?.length ?? 0;

/** How often the link was lost. */
export const timesLost = ({ stderr }: Running): number => stderr.match(/the link is lost/g)?.length ?? 0;

/** The connection is destroyed every so many milliseconds. */
export const cutEvery =
  (interval: number): Spoil =>
  async ({ relay }, signal) => {
    while (await passed(interval, signal)) relay.cut();
  };

/**
 * The network drops everything for so many milliseconds, and neither side is told; what was connected by then stays silent.
 * Once the disk has gone on, and some time has passed, it does so again; for each of the times that are given, in turn, over
 * and over.
 */
export const silentFor =
  (...holes: readonly number[]): Spoil =>
  async ({ relay, gateway }, signal) => {
    for (let count = 0; await passed(3000, signal); count++) {
      const hole = holes[count % holes.length]!;
      const before = timesBack(gateway);
      relay.isBlackHole = true;
      relay.silence();
      await passed(hole, signal);
      relay.isBlackHole = false;
      await until("the link is back", () => timesBack(gateway) > before, BACK);
    }
  };

/** Waits, and tells whether to go on. */
async function passed(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  await sleep(milliseconds, undefined, { signal }).catch(() => {});
  return !signal.aborted;
}
