import type { DeviceSysfs, QueueSetting } from "./sysfs.ts";

/** How the kernel asks a device. */
export interface QueueSettings {
  /** The longest request, in KiB. Default 512. */
  maxRequestKb?: number;
  /** How far a sequential reader is read ahead of, in KiB. Default 1024. */
  readAheadKb?: number;
}

export interface ChangeQueueOptions extends QueueSettings {
  /** How many queues the kernel has for the device, each with requests of its own. */
  connections: number;
}

/** The kernel's own 128 KiB make a long way of a link that is far. */
const MAX_REQUEST_KB = 512;
const READ_AHEAD_KB = 1024;

/**
 * What may be outstanding, in KiB. The kernel counts the time of a request from when it was sent, however much stands
 * before it, so all that is outstanding must get through a slow link before the timeout.
 */
const OUTSTANDING_KB = 16 << 10;
const FEWEST_REQUESTS = 4;
const MOST_REQUESTS = 128;

/**
 * Changes the settings of a device's queue, which outlive what is attached.
 * @returns what puts them back as they were; it comes late where the queue is busy, as the kernel waits for that
 */
export async function changeQueue(
  sysfs: DeviceSysfs,
  { maxRequestKb = MAX_REQUEST_KB, readAheadKb = READ_AHEAD_KB, connections }: ChangeQueueOptions,
): Promise<() => Promise<void>> {
  const requests = Math.floor(OUTSTANDING_KB / maxRequestKb / connections);
  const wanted: [QueueSetting, number][] = [
    ["max_sectors_kb", maxRequestKb],
    ["read_ahead_kb", readAheadKb],
    ["nr_requests", Math.min(Math.max(requests, FEWEST_REQUESTS), MOST_REQUESTS)],
  ];
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
