/**
 * A kernel device over distance, in User-Mode Linux, with all settings as they are by default: what a reader gets of it
 * through the page cache, 128 KiB at a time, over 100 Mbit/s; beside nbd-client at a plain server (one request, one reply).
 *
 *     node --import tsx test/bench/kernel-distance.ts     (needs the build and what CI installs)
 */
import { runInMachine } from "../system/kernel/machine.ts";
import { userModeLinux } from "../system/kernel/user-mode-linux.ts";
import { RATE } from "./far-link.ts";

const { status, output } = await runInMachine(userModeLinux, "test/bench/kernel-distance.uml.ts", {
  memory: 2048,
});
if (status !== 0) throw new Error(output);
const rows = output
  .split("\n")
  .filter((line) => line.startsWith("{"))
  .map((line) => JSON.parse(line) as { way: string; roundTrip: number; rate: number });
for (const { way, roundTrip, rate } of rows) {
  const part = ((100_000_000 * rate) / RATE).toFixed(0);
  console.log(`${roundTrip} ms, ${way}: ${rate.toFixed(2)} MB/s, ${part} % of the link`);
}
