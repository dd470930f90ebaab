import { effectWindow } from "../../nbd/client/effect-window.ts";
import type { DeviceSysfs, QueueSetting } from "./sysfs.ts";

/** How the kernel asks a device. */
export interface QueueSettings {
  /** The longest request, in KiB. Default 512. It is cut to 4096 / connections, so that all in flight stays below 16 MiB. */
  maxRequestKb?: number;
  /** How far a sequential reader is read ahead of, in KiB. Default 1024. */
  readAheadKb?: number;
}

export interface ChangeQueueOptions extends QueueSettings {
  /** How many queues the kernel has for the device, each with requests of its own. */
  connections: number;
  /** Seconds after which a request counts as lost; 0: never. */
  timeout: number;
}

/** The kernel's own 128 KiB make a long way of a link that is far. */
const MAX_REQUEST_KB = 512;
const READ_AHEAD_KB = 1024;

/**
 * What may be outstanding, in KiB. The kernel counts the time of a request from when it was sent, however much stands
 * before it, so all that is outstanding must get through a slow link before the timeout.
 */
const OUTSTANDING_KB = 16 << 10;
/** The fewest requests that the kernel takes for a queue. */
const FEWEST_REQUESTS = 4;
const MOST_REQUESTS = 128;

/** The limits of a discard, in bytes, whatever the timeout: it must be a multiple of any block, and the kernel has 32 bits. */
const LEAST_DISCARD = 1 << 16;
const MOST_DISCARD = 2 ** 31;

/**
 * Changes the settings of a device's queue, which outlive what is attached.
 * @returns what puts them back as they were; it comes late where the queue is busy, as the kernel waits for that
 */
export async function changeQueue(
  sysfs: Pick<DeviceSysfs, "setting" | "set">,
  { maxRequestKb = MAX_REQUEST_KB, readAheadKb = READ_AHEAD_KB, connections, timeout }: ChangeQueueOptions,
): Promise<() => Promise<void>> {
  const longest = Math.min(maxRequestKb, longestRequest(connections));
  const requests = Math.min(Math.floor(OUTSTANDING_KB / longest / connections), MOST_REQUESTS);
  const wanted: [QueueSetting, number][] = [
    ["max_sectors_kb", longest],
    ["read_ahead_kb", readAheadKb],
    ["nr_requests", requests],
  ];
  if (timeout > 0) {
    const discard = Math.max(LEAST_DISCARD, effectWindow(timeout * 1000) / requests / connections);
    wanted.push(["discard_max_bytes", 2 ** Math.floor(Math.log2(Math.min(discard, MOST_DISCARD)))]);
  }
  const before: [QueueSetting, number][] = [];
  for (const [name, value] of wanted) {
    const found = await sysfs.setting(name);
    await sysfs.set(name, value).then(
      () => before.push([name, found]),
      () => {}, // A kernel that has other limits is asked in its own way.
    );
  }
  return async () => {
    for (const [name, value] of before) await sysfs.set(name, value).catch(() => {});
  };
}

/** The longest request, in KiB and a multiple of 4, of which the fewest that each of so many queues has do not exceed the bound. */
function longestRequest(connections: number): number {
  return 4 * Math.floor(OUTSTANDING_KB / FEWEST_REQUESTS / connections / 4);
}
