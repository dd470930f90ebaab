import { readdir, readFile } from "node:fs/promises";

/**
 * What sysfs says of a block device, by its name there, as nbd0 (Documentation/ABI/stable/sysfs-block of the kernel). A device
 * that is not there has no attributes, partitions or holders.
 */
const folderOf = (device: string) => `/sys/class/block/${device}`;

const list = (folder: string) => readdir(folder).catch((): string[] => []);

/** An attribute's text; undefined where the device does not have it. */
export async function attribute(device: string, name: string): Promise<string | undefined> {
  return (await readFile(`${folderOf(device)}/${name}`, "utf8").catch(() => undefined))?.trim();
}

/** Whether the kernel has a block device of that name. */
export async function isThere(device: string): Promise<boolean> {
  return (await attribute(device, "dev")) !== undefined;
}

/** The names of its partitions, as nbd0p1. */
export async function partitions(device: string): Promise<string[]> {
  const names = (await list(folderOf(device))).filter((name) => name.startsWith(device));
  const found = await Promise.all(
    names.map(async (name) => ((await attribute(name, "partition")) === undefined ? [] : [name])),
  );
  return found.flat();
}

/** The names of the devices that stand on it, as dm-0: device-mapper, md, bcache. Those on its partitions are not among them. */
export const holders = (device: string) => list(`${folderOf(device)}/holders`);

/** The names of all loop devices, attached or not. They do not count as holders: what they show is a file. */
export async function loopDevices(): Promise<string[]> {
  return (await list("/sys/block")).filter((name) => /^loop\d+$/.test(name));
}
