import { open, stat } from "node:fs/promises";
import { deviceNumber } from "../device-number.ts";
import { attribute, holders, loopDevices, partitions } from "./block-device.ts";
import { type Mount, mountsOf } from "./mount-info.ts";
import { systemCalls } from "./system-calls.ts";

/** A block device that may hold bytes which are not on the one below it. */
export interface BlockLayer {
  /** Its name in sysfs, as dm-0. */
  readonly device: string;
  /** Where a file system is mounted that is on it. */
  readonly mountpoint?: string;
  /** It, or one below it, keeps all requests back (dmsetup suspend): whoever writes to it waits until it is resumed. */
  readonly isSuspended: boolean;
}

/** A loop device, and what it shows: a file of the file system with a number, or a block device. Numbers are "MAJOR:MINOR". */
interface Loop {
  readonly name: string;
  readonly fileSystem: string;
  readonly device: string;
}

/** A file system, as it is mounted in this process's mount namespace. */
interface MountedFileSystem {
  readonly mountpoint: string;
  /** The number of the device that it is mounted from, and those that its files say to be on. */
  readonly device: string;
  readonly numbers: ReadonlySet<string>;
}

/**
 * All that stands on a block device, and it itself: partitions, device-mapper with LVM and LUKS, md, bcache, loop devices, file
 * systems, and what stands on those. Each comes before what it stands on, so that what it holds can be written in this order.
 *
 * What is mounted in other mount namespaces is not found as such, but the devices are, and so are those that loop devices
 * show which have a node here.
 *
 * @param name its name in sysfs, as nbd0
 */
export async function blockStack(name: string): Promise<BlockLayer[]> {
  const [mounts, loops] = await Promise.all([mountedFileSystems(), attachedLoops()]);
  const layers: BlockLayer[] = [];
  const seen = new Set<string>();

  async function visit(device: string, isBelowSuspended: boolean): Promise<void> {
    if (seen.has(device)) return;
    seen.add(device);
    const number = await attribute(device, "dev");
    const isSuspended = isBelowSuspended || (await attribute(device, "dm/suspended")) === "1";
    const mounted = mounts.filter((mount) => mount.device === number);
    const fileSystems = new Set([number, ...mounted.flatMap(({ numbers }) => [...numbers])]);
    const shown = loops.filter((loop) => loop.device === number || fileSystems.has(loop.fileSystem));
    const above = [
      ...(await partitions(device)),
      ...(await holders(device)),
      ...shown.map((loop) => loop.name),
    ];
    for (const next of above) await visit(next, isSuspended);
    // One mountpoint is enough for a file system, wherever else it is mounted.
    const mountpoint = mounted[0]?.mountpoint;
    layers.push({ device, isSuspended, ...(mountpoint !== undefined && { mountpoint }) });
  }

  await visit(name, false);
  return layers;
}

/** The file systems that are on block devices, as they are mounted here. */
async function mountedFileSystems(): Promise<MountedFileSystem[]> {
  const found = await Promise.all((await mountsOf("self")).map(fileSystemOf));
  return found.filter((fileSystem) => fileSystem !== undefined);
}

async function fileSystemOf({ number, mountpoint, source }: Mount): Promise<MountedFileSystem | undefined> {
  if (!number.startsWith("0:")) return { mountpoint, numbers: new Set([number]), device: number };
  // As of btrfs, whose files have numbers of no device. Others are not touched: they may be of a machine that is gone.
  const node = source.startsWith("/dev/") ? await stat(source).catch(() => undefined) : undefined;
  if (!node?.isBlockDevice()) return undefined;
  const root = await stat(mountpoint).catch(() => undefined);
  const numbers = new Set([number, ...(root ? [deviceNumber(root.dev)] : [])]);
  return { mountpoint, numbers, device: deviceNumber(node.rdev) };
}

async function attachedLoops(): Promise<Loop[]> {
  const found = await Promise.all((await loopDevices()).map(loopOf));
  return found.filter((loop) => loop !== undefined);
}

async function loopOf(name: string): Promise<Loop | undefined> {
  if ((await attribute(name, "loop/backing_file")) === undefined) return undefined;
  const handle = await open(`/dev/${name}`, "r").catch(() => undefined);
  if (!handle) return undefined;
  try {
    const { fileSystem, device } = await (await systemCalls()).loopStatus(handle.fd);
    return { name, fileSystem: deviceNumber(fileSystem), device: deviceNumber(device) };
  } catch {
    return undefined; // It was detached just now.
  } finally {
    await handle.close();
  }
}
