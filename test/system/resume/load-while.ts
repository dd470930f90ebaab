import * as assert from "uvu/assert";
import type { Sandbox } from "../../harness.ts";
import { fioVerifies } from "./fio-verifies.ts";
import { type Spoil, timesBack } from "./spoiled-link.ts";
import type { ThroughRelay } from "./through-relay.ts";

/** Seconds for which the load goes on at least; for long runs. */
const SECONDS = Number(process.env.RESUME_SECONDS || 0);

export interface LoadWhile {
  spoil: Spoil;
  /** How often the link must have been lost, and there again. */
  least: number;
  /** Arguments of fio; see `fioVerifies`. */
  load: readonly string[];
}

/** Has fio write, read and verify again and again while the link is spoiled, until that was lost often enough. */
export async function loadWhile(
  sandbox: Sandbox,
  scene: Pick<ThroughRelay, "gateway" | "relay">,
  { spoil, least, load }: LoadWhile,
): Promise<void> {
  const { gateway } = scene;
  const over = new AbortController();
  const spoiling = spoil(scene, over.signal);
  spoiling.catch(() => {});
  const end = performance.now() + 1000 * SECONDS;
  for (let run = 1; run === 1 || performance.now() < end || timesBack(gateway) < least; run++)
    await fioVerifies(sandbox, [...load, `--randseed=${run}`]);
  over.abort();
  await spoiling;
  assert.ok(timesBack(gateway) >= least, gateway.stderr);
}
