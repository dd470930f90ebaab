import { readdir, readFile, readlink, stat } from "node:fs/promises";
import { quoted } from "../../streams/quoted.ts";
import { deviceNumber } from "../device-number.ts";
import { attribute, holders, loopDevices, partitions } from "./block-device.ts";
import { mountsOf } from "./mount-info.ts";

/** What has a block device, or a partition of it, in use, each in words. */
export interface DeviceUsers {
  /** Those that stay until somebody takes them away: devices that stand on it, mounts, swap space. */
  standing: string[];
  /** Other processes that have it open, which may be about to close it. */
  processes: string[];
}

/**
 * Finds out who uses a device, as far as this process may know.
 * @param device its name in sysfs, as nbd0
 */
export async function deviceUsers(device: string): Promise<DeviceUsers> {
  const names = [device, ...(await partitions(device))];
  const numbers = new Set((await Promise.all(names.map((name) => attribute(name, "dev")))).filter(isKnown));
  const { mounts, processes } = await inProcesses(numbers);
  return {
    standing: [
      ...(await holdersOf(names)),
      ...(await loopsOf(names)),
      ...[...mounts].map((folder) => `a mount at ${quoted(folder)}`),
      ...(await swaps(names)),
    ],
    processes,
  };
}

/** The most users that a line names. */
const MOST = 4;

/** Users in a line for people. */
export function inOneLine(users: readonly string[]): string {
  if (users.length === 0) return "a user that cannot be seen from here";
  const more = users.length > MOST ? ` and ${users.length - MOST} more` : "";
  return users.slice(0, MOST).join(", ") + more;
}

const isKnown = (text: string | undefined) => text !== undefined;

async function holdersOf(names: readonly string[]): Promise<string[]> {
  const all = (await Promise.all(names.map(holders))).flat();
  return Promise.all(
    all.map(async (name) => {
      const mapped = await attribute(name, "dm/name");
      return mapped ? `the device-mapper device ${quoted(mapped)}` : `the device ${name}`;
    }),
  );
}

async function loopsOf(names: readonly string[]): Promise<string[]> {
  const all = await loopDevices();
  const backing = await Promise.all(all.map((name) => attribute(name, "loop/backing_file")));
  return all.filter((_, i) => names.includes(deviceIn(backing[i] ?? ""))).map((name) => `the device ${name}`);
}

async function swaps(names: readonly string[]): Promise<string[]> {
  const lines = (await textOf("/proc/swaps")).split("\n").slice(1);
  const used = lines.map((line) => deviceIn(line.split(/\s/)[0]!));
  return used.filter((name) => names.includes(name)).map((name) => `swap space on ${name}`);
}

/** The name of a device from the path of its node; "" where it is another path. */
function deviceIn(path: string): string {
  return /^\/dev\/(\w+)$/.exec(path)?.[1] ?? "";
}

/** Looks at all processes, for the mounts of each mount namespace and for descriptors. */
async function inProcesses(
  numbers: ReadonlySet<string>,
): Promise<{ mounts: Set<string>; processes: string[] }> {
  const mounts = new Set<string>();
  const processes: string[] = [];
  const namespaces = new Set<string>();
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => "");
    if (!namespaces.has(namespace)) {
      namespaces.add(namespace);
      for (const { number, mountpoint } of await mountsOf(pid).catch(() => []))
        if (numbers.has(number)) mounts.add(mountpoint);
    }
    if (Number(pid) !== process.pid && (await hasOpen(pid, numbers)))
      processes.push(`process ${pid} ${quoted(await textOf(`/proc/${pid}/comm`))}`);
  }
  return { mounts, processes };
}

async function hasOpen(pid: string, numbers: ReadonlySet<string>): Promise<boolean> {
  for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
    const link = `/proc/${pid}/fd/${fd}`;
    if (!(await readlink(link).catch(() => "")).startsWith("/dev/")) continue;
    const node = await stat(link).catch(() => undefined);
    if (node?.isBlockDevice() && numbers.has(deviceNumber(node.rdev))) return true;
  }
  return false;
}

/** The text of a file without the line's end; "" where there is none. */
async function textOf(path: string): Promise<string> {
  return (await readFile(path, "utf8").catch(() => "")).trimEnd();
}
