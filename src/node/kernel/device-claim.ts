import { readFile } from "node:fs/promises";
import { checkType } from "../../streams/check.ts";
import { canAdminister } from "./capability.ts";
import { lockDevice } from "./device-lock.ts";
import { deviceIndex } from "./device-node.ts";
import { openFamily } from "./generic-netlink.ts";
import { NbdNetlinkCommand, nbdFamily } from "./nbd-netlink.ts";
import { DeviceSysfs } from "./sysfs.ts";
import { systemCalls } from "./system-calls.ts";

/** A device that is free, and ours to use. */
export interface DeviceClaim {
  /** N of /dev/nbdN. */
  readonly index: number;
  /** Gives it back. What is attached must have been detached before. */
  release(): void;
}

/** Milliseconds that the kernel is given to let go of what a process that was killed has left attached. */
const CLEAN_UP_TIME = 2000;
const INTERVAL = 20;

/**
 * Finds an nbd device and makes sure that it can be attached and has no other user. What a process with the same
 * `identifier` that was killed has left attached is detached; what anybody else has attached is not touched.
 *
 * @throws Error in words when there is no such device, no permission, or another user
 */
export async function claimDevice(path: string, identifier: string): Promise<DeviceClaim> {
  checkType(path, "the path of the device", "string");
  checkType(identifier, "the identifier", "string");
  await systemCalls(); // without which the rest is of no use
  const index = await deviceIndex(path);
  if (!(await canAdminister())) throw new Error("permission denied: only root may attach a device");
  const release = await lockDevice(index);
  const sysfs = new DeviceSysfs(index);
  const pid = await sysfs.pid();
  if (!release)
    throw new Error(`${path} is in use by another session${pid === undefined ? "" : `, of process ${pid}`}`);
  try {
    if (pid !== undefined) {
      // Nobody else with this identifier can be alive, or it would hold the lock.
      if ((await sysfs.backend()) !== identifier)
        throw new Error(`${path} is in use by ${await nameOf(pid)}`);
      await cleanUp(index, sysfs);
    }
  } catch (error) {
    release();
    throw error;
  }
  return { index, release };
}

async function cleanUp(index: number, sysfs: DeviceSysfs): Promise<void> {
  const kernel = await openFamily(nbdFamily);
  try {
    await kernel.request(NbdNetlinkCommand.DISCONNECT, { index });
  } finally {
    kernel.close();
  }
  for (let waited = 0; await sysfs.isAttached(); waited += INTERVAL) {
    if (waited >= CLEAN_UP_TIME) {
      throw new Error(
        "it is still open since an earlier session that was killed; close or unmount what uses it",
      );
    }
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}

async function nameOf(pid: number): Promise<string> {
  const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => undefined);
  if (name === undefined)
    return `process ${pid}, which has ended and left it attached; "nbd-client -d" detaches it`;
  return `process ${pid}, ${name.trim()}`;
}
