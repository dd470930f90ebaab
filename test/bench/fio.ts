/** How the benchmarks run fio on an export: random reads, or writes, of 4 KiB, many at a time. */

export const DEPTH = 16;
export const BLOCK = 4096;

/** fio's arguments; for so many seconds, or so many reads or writes. */
export function fioArguments(
  uri: string,
  limit: { number_ios: number } | { runtime: number; ramp_time?: number },
  rw: "randread" | "randwrite" = "randread",
): string[] {
  const options = {
    name: "random",
    ioengine: "nbd",
    uri,
    rw,
    bs: BLOCK,
    iodepth: DEPTH,
    randrepeat: 0,
    "output-format": "json",
    ...limit,
  };
  const args = Object.entries(options).map(([name, value]) => `--${name}=${value}`);
  return "runtime" in limit ? [...args, "--time_based"] : args;
}

/** The reads a second that fio's output tells. */
export function readsPerSecond(output: string): number {
  return iops(output, "read");
}

/** The writes a second that fio's output tells. */
export function writesPerSecond(output: string): number {
  return iops(output, "write");
}

function iops(output: string, what: "read" | "write"): number {
  type Job = Record<"read" | "write", { iops: number }>;
  return (JSON.parse(output.slice(output.indexOf("{"))) as { jobs: [Job] }).jobs[0][what].iops;
}
