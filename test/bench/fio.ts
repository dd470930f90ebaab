/** How the benchmarks run fio on an export: random reads of 4 KiB, many at a time. */

export const DEPTH = 16;
export const BLOCK = 4096;

/** fio's arguments; for so many seconds, or so many reads. */
export function fioArguments(
  uri: string,
  limit: { number_ios: number } | { runtime: number; ramp_time?: number },
): string[] {
  const options = {
    name: "random",
    ioengine: "nbd",
    uri,
    rw: "randread",
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
  const { jobs } = JSON.parse(output.slice(output.indexOf("{"))) as { jobs: [{ read: { iops: number } }] };
  return jobs[0].read.iops;
}
