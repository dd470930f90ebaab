import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { readlink, stat } from "node:fs/promises";
import { basename } from "node:path";
import { promisify } from "node:util";
import { deviceNumber } from "../device-number.ts";
import { fixedEnvironment } from "../fixed-environment.ts";
import { trustedPath } from "../trusted-path.ts";

/** The major number of nbd devices (Documentation/admin-guide/devices.txt of the kernel). */
const NBD_MAJOR = 43;

/** Where modprobe(8) is looked for, in this order. PATH is not: it may be anybody's. */
const MODPROBE = ["/usr/sbin/modprobe", "/sbin/modprobe", "/usr/bin/modprobe", "/bin/modprobe"];

/** Milliseconds within which the nodes of a module that was loaded appear. */
const NODE_TIME = 1000;
const INTERVAL = 20;

/**
 * Finds the nbd device that a path stands for, and loads the kernel's module where it is missing. The device is
 * looked at, not opened.
 *
 * @returns N of /dev/nbdN
 * @throws Error when there is none, in words
 */
export async function deviceIndex(path: string): Promise<number> {
  const node = (await statOf(path)) ?? (await statAfterModprobe(path));
  if (!node.isBlockDevice()) throw new Error(`${path} is not a block device`);
  const number = deviceNumber(node.rdev);
  const major = Number(number.split(":")[0]);
  if (major !== NBD_MAJOR)
    throw new Error(`${path} is not an nbd device: its major number is ${major}, not ${NBD_MAJOR}`);
  let name = await nameOf(number);
  // Where nodes are made by hand they are there without the module.
  if (name === "" && (await modprobe()) === undefined) name = await nameOf(number);
  const index = /^nbd(\d+)$/.exec(name)?.[1];
  if (index !== undefined) return Number(index);
  if (name !== "") throw new Error(`${path} is a partition, ${name}; name the whole device`);
  throw new Error(`the kernel has no device behind ${path}; load the module nbd with a larger nbds_max`);
}

/** What the kernel calls the device with a number, "" where it has none. */
async function nameOf(number: string): Promise<string> {
  return basename(await readlink(`/sys/dev/block/${number}`).catch(() => ""));
}

async function statOf(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function statAfterModprobe(path: string) {
  const fault = await modprobe();
  if (fault !== undefined)
    throw new Error(`there is no ${path}, and loading the module nbd failed: ${fault}`);
  for (let waited = 0; waited < NODE_TIME; waited += INTERVAL) {
    const node = await statOf(path);
    if (node) return node;
    await new Promise((resolve) => setTimeout(resolve, INTERVAL));
  }
  throw new Error(`there is no ${path}, although the module nbd is loaded; load it with a larger nbds_max`);
}

/** Loads the module; gives the reason when that failed. */
async function modprobe(): Promise<string | undefined> {
  const path = MODPROBE.find((candidate) => existsSync(candidate));
  if (path === undefined) return "the program modprobe was not found";
  try {
    trustedPath(path);
    await promisify(execFile)(path, ["nbd"], { cwd: "/", env: fixedEnvironment() });
    return undefined;
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return stderr?.trim().split("\n")[0] || message;
  }
}
