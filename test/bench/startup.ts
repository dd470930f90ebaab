/**
 * How long `nbd-proxy --metadata` takes, which consoles run at every page load, beside `node -e 0`, the time that
 * Node itself needs. The two run in turn, so that what else the machine does meets both.
 *
 *     node --import tsx test/bench/startup.ts [ROUNDS]     (default 40; needs the build)
 */
import { execFileSync } from "node:child_process";
import { program, root } from "../harness.ts";
import { median } from "./median.ts";

const rounds = Number(process.argv[2] ?? 40);
const metadata = ["--config", `${root}/config.json`, "--metadata"];

function milliseconds(command: string, args: readonly string[]): number {
  const start = performance.now();
  execFileSync(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  return performance.now() - start;
}

const ours: number[] = [];
const bare: number[] = [];
for (let round = 0; round < rounds; round++) {
  bare.push(milliseconds("node", ["-e", "0"]));
  ours.push(milliseconds(program("nbd-proxy"), metadata));
}
const least = (times: readonly number[]) => Math.min(...times);
const line = (name: string, times: number[]) =>
  console.log(
    `${name.padEnd(22)} median ${median(times).toFixed(1)} ms, least ${least(times).toFixed(1)} ms`,
  );
line("node -e 0", bare);
line("nbd-proxy --metadata", ours);
const ratio = (of: (times: number[]) => number) => (of(ours) / of(bare)).toFixed(2);
console.log(
  `nbd-proxy --metadata takes ${ratio(median)} times as long (medians), ${ratio(least)} (the least of each)`,
);
