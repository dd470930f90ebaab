import { open } from "node:fs/promises";
import { checkExport } from "../../export/check-export.ts";
import type { Export } from "../../export/export.ts";
import { TransmissionFlag } from "../../nbd/constants.ts";
import { transmission } from "../../nbd/server/layers.ts";
import { transmissionFlags } from "../../nbd/transmission-flags.ts";
import type { Room } from "../../streams/budget.ts";
import { checkObject } from "../../streams/check.ts";
import { Ended } from "../../streams/ended.ts";
import { withWordsForOthers } from "../../streams/for-others.ts";
import { join } from "../../streams/join.ts";
import { before } from "../before.ts";
import type { SystemCallError } from "../system-call-error.ts";
import { untilAborted } from "../until-aborted.ts";
import { whenCrashing } from "./crash.ts";
import { deviceUsers, inOneLine } from "./device-users.ts";
import { flushDevice } from "./flush-device.ts";
import { type FamilySocket, openFamily } from "./generic-netlink.ts";
import { type KernelSocket, kernelSocket } from "./kernel-socket.ts";
import { NbdNetlinkCommand, nbdFamily } from "./nbd-netlink.ts";
import { changeQueue, type QueueSettings } from "./queue-settings.ts";
import { DeviceSysfs } from "./sysfs.ts";

export interface KernelDeviceOptions {
  /** The path of the device, /dev/nbdN. */
  path: string;
  /** N. */
  index: number;
  /** What the device is marked with, for whoever finds it later. */
  identifier: string;
  /** Logical block size in bytes: 512, 1024, 2048 or 4096. Raised to what the export demands. Default 512. */
  blockSize?: number;
  /** Seconds after which the kernel itself gives a request up, the device with it; 0: never. */
  timeout: number;
  /** Seconds for which requests may wait beyond that, for a new link. Default 0. */
  patience?: number;
  /** How many sockets the kernel uses, one for each of its hardware queues. Default 1. */
  connections?: number;
  queue?: QueueSettings;
  /** Room for the payloads of the requests in flight. */
  room?: Room;
  /** No longer waits for those who have the device open, nor for the partitions. */
  signal?: AbortSignal;
}

/** An export that is a block device of this machine. */
export interface KernelDevice {
  /** Bytes that the device has: whole blocks. */
  readonly size: number;
  /**
   * Resolves when somebody has detached it, by `detach()` or past this process. Rejects when the kernel has given it
   * up. It is safe to ignore.
   */
  readonly ended: Promise<void>;
  /**
   * Writes what this machine still holds of the device to the export, file systems that are mounted included, and
   * flushes that.
   * @throws the error of a system call: something is lost
   */
  flush(): Promise<void>;
  /** Takes the device away; who still uses it is told EIO. The queue's settings are as before. */
  detach(): Promise<void>;
}

/** What the kernel's driver knows of the transmission flags. */
const KERNEL_FLAGS =
  TransmissionFlag.HAS_FLAGS |
  TransmissionFlag.READ_ONLY |
  TransmissionFlag.SEND_FLUSH |
  TransmissionFlag.SEND_FUA |
  TransmissionFlag.ROTATIONAL |
  TransmissionFlag.SEND_TRIM |
  TransmissionFlag.SEND_WRITE_ZEROES |
  TransmissionFlag.CAN_MULTI_CONN;

/** The largest logical block that the kernel has: a page of memory. */
const LARGEST_BLOCK = 4096;

/** Seconds that the kernel waits longer than the export's own timeout: it is the net under a process that was killed. */
const NET = 5;

/** Milliseconds that somebody who has the device open, as udev for a moment, is waited for. */
const BUSY_TIME = 2000;
/** Each time that it is in use the kernel logs a line. */
const BUSY_INTERVAL = 200;
/** Milliseconds that the kernel is given to say NBD_CMD_DISC, which waits behind what it is sending. */
const DISCONNECT_TIME = 400;
/** Milliseconds within which a device that nobody has open is free again. */
const RELEASE_TIME = 200;
const INTERVAL = 20;

/**
 * Attaches an export to the kernel's nbd driver, by generic netlink (linux/nbd-netlink.h): once this resolves it is
 * a block device with its partitions.
 *
 * No call here waits for the kernel on the event loop, since the kernel may wait for what this process answers.
 *
 * @throws Error in words when the kernel refuses
 */
export async function kernelDevice(target: Export, options: KernelDeviceOptions): Promise<KernelDevice> {
  checkExport(target);
  checkObject(options, "the options");
  const { index, path, identifier, timeout, patience = 0, connections = 1, room, signal } = options;
  const blockSize = blockSizeFor(target, options.blockSize);
  const size = target.size - (target.size % blockSize);
  if (size === 0)
    throw withWordsForOthers(
      new Error(`the export has ${target.size} bytes, less than one block of ${blockSize} bytes`),
    );
  const flags = transmissionFlags(target) & KERNEL_FLAGS;

  const kernel = await openFamily(nbdFamily);
  const sockets: KernelSocket[] = [];
  const closeAll = () => {
    for (const socket of sockets) socket.close(new Ended());
  };
  try {
    while (sockets.length < connections) sockets.push(await kernelSocket());
    const connection = {
      index,
      sizeBytes: size,
      blockSizeBytes: blockSize,
      serverFlags: flags,
      ...(timeout > 0 && { timeout: Math.ceil(timeout + patience) + NET }),
      deadConnTimeout: 0,
      backendIdentifier: identifier,
      sockets: sockets.map(({ kernelEnd }) => ({ fd: kernelEnd })),
    };
    await connect(kernel, connection, signal);
  } catch (error) {
    closeAll();
    kernel.close();
    throw error;
  }
  for (const socket of sockets) socket.handOver();
  const calm = whenCrashing(() => {
    closeAll();
    kernel.post(NbdNetlinkCommand.DISCONNECT, { index });
  });
  let isDetached = false;
  const onDisconnect = () => {
    isDetached = true;
  };
  const serving = sockets.map((socket) =>
    join(socket, transmission(target, { size, flags }, { onDisconnect, ...(room && { room }) })),
  );
  // Once it has said NBD_CMD_DISC the kernel takes no replies any more, which is no failure of ours.
  let isServing = true;
  const ended = Promise.allSettled(serving).then(() => {
    isServing = false;
    if (!isDetached) throw new Error(`the kernel has given ${path} up; its log, dmesg, says why`);
  });
  ended.catch(() => {});
  const sysfs = new DeviceSysfs(index);
  const queue = changeQueue(sysfs, { ...options.queue, connections, timeout });
  queue.catch(() => {});

  const device: KernelDevice = {
    size,
    ended,
    async flush() {
      if (target.write) await flushDevice(sysfs.name, path);
    },
    async detach() {
      isDetached = true;
      calm();
      // As long as the sockets live it is ours. There may be little time, so nothing is asked that is known.
      if (!isServing && (await isSomebodyElses(sysfs, identifier))) {
        closeAll();
        kernel.close();
        return;
      }
      // The kernel sends NBD_CMD_DISC from within this call, and waits where the socket is full.
      const disconnected = kernel.request(NbdNetlinkCommand.DISCONNECT, { index }).catch(() => {});
      await before(DISCONNECT_TIME, Promise.allSettled(serving));
      closeAll();
      // Beside the rest: websocketd kills 850 ms after the link has gone, and what was set would stay.
      const restored = queue.then((restore) => restore());
      restored.catch(() => {});
      const closed = disconnected.finally(() => kernel.close());
      await before(DISCONNECT_TIME, closed);
      for (let waited = 0; waited < RELEASE_TIME && (await sysfs.isAttached()); waited += INTERVAL) {
        await new Promise((resolve) => setTimeout(resolve, INTERVAL));
      }
      await before(RELEASE_TIME, restored);
      // The device is empty now, so the kernel forgets its partitions.
      await before(RELEASE_TIME, scanPartitions(path));
    },
  };
  try {
    const scanned = queue.then(() => scanPartitions(path));
    await untilAborted(Promise.race([scanned, Promise.allSettled(serving)]), signal);
  } catch (error) {
    await device.detach();
    throw error;
  }
  return device;
}

function blockSizeFor({ blockSize: demanded }: Export, wanted = 512): number {
  const minimum = demanded?.minimum ?? 1;
  if (minimum > LARGEST_BLOCK) {
    throw withWordsForOthers(
      new Error(`the export demands blocks of ${minimum} bytes; the kernel has at most ${LARGEST_BLOCK}`),
    );
  }
  return Math.max(wanted, minimum);
}

type Connection = NonNullable<Parameters<FamilySocket<typeof nbdFamily.attributes>["request"]>[1]>;

/** Has the kernel attach the device, and waits a while for somebody who only looks at it. */
async function connect(
  kernel: FamilySocket<typeof nbdFamily.attributes>,
  connection: Connection,
  signal: AbortSignal | undefined,
) {
  for (let waited = 0; ; waited += BUSY_INTERVAL) {
    try {
      await kernel.request(NbdNetlinkCommand.CONNECT, connection);
      return;
    } catch (error) {
      const { code } = error as SystemCallError;
      if (code !== "EBUSY") throw inWords(error as Error);
      if (waited >= BUSY_TIME || signal?.aborted) throw await inUse(connection.index as number);
    }
    await new Promise((resolve) => setTimeout(resolve, BUSY_INTERVAL));
  }
}

/** Whether the device was detached past this process, and somebody has attached another one in its place. */
async function isSomebodyElses(sysfs: DeviceSysfs, identifier: string): Promise<boolean> {
  const pid = await sysfs.pid();
  return pid !== undefined && (pid !== process.pid || (await sysfs.backend()) !== identifier);
}

async function inUse(index: number): Promise<Error> {
  const { standing, processes } = await deviceUsers(`nbd${index}`);
  return new Error(`it is in use, by ${inOneLine([...standing, ...processes])}`);
}

function inWords(error: Error): Error {
  const words: Readonly<Record<string, string>> = {
    EPERM: "permission denied: only root may attach a device",
    ENOENT: "the kernel has no such device",
  };
  return new Error(words[(error as SystemCallError).code] ?? error.message, { cause: error });
}

/**
 * The kernel looks for partitions when a device is opened for the first time. Where udev is, it does so too. The
 * reads come to this very process, so opening must be left to a thread.
 */
async function scanPartitions(path: string): Promise<void> {
  try {
    await (await open(path, "r")).close();
  } catch {
    // Its users will see for themselves.
  }
}
