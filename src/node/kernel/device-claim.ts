import { readFile } from "node:fs/promises";
import { checkType } from "../../streams/check.ts";
import { quoted } from "../../streams/quoted.ts";
import { before } from "../before.ts";
import { lock } from "../lock.ts";
import { canAdminister } from "./capability.ts";
import { deviceIndex } from "./device-node.ts";
import { deviceUsers, inOneLine } from "./device-users.ts";
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
/** Milliseconds between two looks at who uses it, which goes through all processes. */
const LOOK_INTERVAL = 500;

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
  const release = await lock(`nbd${index}`);
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
  const disconnected = kernel.request(NbdNetlinkCommand.DISCONNECT, { index }).finally(() => kernel.close());
  // The kernel may wait in there for what is outstanding.
  if (await before(CLEAN_UP_TIME, disconnected)) await disconnected;
  else disconnected.catch(() => {});
  for (let waited = 0; await sysfs.isAttached(); waited += INTERVAL) {
    if (waited % LOOK_INTERVAL === 0) await expectNoUsers(sysfs, waited >= CLEAN_UP_TIME);
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
}

/**
 * A device that is open stays attached, with nothing behind it, until it is closed.
 * @param isOver whether nobody is waited for any more
 * @throws Error that says who uses it
 */
async function expectNoUsers(sysfs: DeviceSysfs, isOver: boolean): Promise<void> {
  const { standing, processes } = await deviceUsers(sysfs.name);
  if (standing.length === 0 && !isOver) return;
  const users = inOneLine([...standing, ...processes]);
  throw new Error(`what an earlier session left is still in use, by ${users}; take that away first`);
}

async function nameOf(pid: number): Promise<string> {
  const name = await readFile(`/proc/${pid}/comm`, "utf8").catch(() => undefined);
  if (name === undefined)
    return `process ${pid}, which has ended and left it attached; "nbd-client -d" detaches it`;
  return `process ${pid} ${quoted(name.trim())}`;
}
