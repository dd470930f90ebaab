import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { hasErrno } from "../system-call-error.ts";
import { reasonOf } from "../system-error.ts";
import { isThere } from "./block-device.ts";
import { type BlockLayer, blockStack } from "./block-stack.ts";
import { mountsOf } from "./mount-info.ts";
import { type SystemCalls, systemCalls } from "./system-calls.ts";

/**
 * Writes what this machine holds of a device to the device: what stands on it from the top down, and then its own pages. All in
 * threads, as the device's requests are answered meanwhile.
 *
 * Of each device: the file system that is mounted from it, as only syncfs(2) tells what could not be written; then that of other
 * mount namespaces (BLKFLSBUF, linux/fs.h), its own pages, and what is below (fsync(2)).
 *
 * @param name the device's name in sysfs, as nbd0
 * @param path where its node is
 * @throws Error in words that say what could not be written. All else has been.
 */
export async function flushDevice(name: string, path: string): Promise<void> {
  const calls = await systemCalls();
  const failed: string[] = [];
  for (const layer of await blockStack(name)) {
    const node = layer.device === name ? path : nodeOf(layer.device);
    await flushLayer(layer, node, calls).catch((error: Error) => failed.push(`${node}: ${error.message}`));
  }
  if (failed.length > 0) throw new Error(`not all of it could be written: ${failed.join("; ")}`);
}

/** Where a device's node is. A name in sysfs has no slashes. */
const nodeOf = (device: string) => `/dev/${device.replaceAll("!", "/")}`;

async function flushLayer(
  { device, mountpoint, isSuspended }: BlockLayer,
  node: string,
  { flushBuffers, syncFileSystem }: SystemCalls,
): Promise<void> {
  if (isSuspended) throw new Error("it is suspended");
  if (mountpoint !== undefined) {
    const unopened = async (error: Error) => {
      // One that was unmounted meanwhile has been written. Of one that cannot be opened, as another mount may lie over its folder,
      // nobody would tell what is lost.
      if (hasErrno(error, "ENOENT") && !(await isMounted(mountpoint))) return;
      throw new Error(`${mountpoint}: ${reasonOf(error)}`);
    };
    await withOpen(mountpoint, unopened, ({ fd }) => syncFileSystem(fd));
  }
  const missing = async (error: Error) => {
    // A device that was taken away meanwhile holds nothing.
    if (await isThere(device)) throw error;
  };
  await withOpen(node, missing, async (handle) => {
    await flushBuffers(handle.fd);
    await handle.sync();
  });
}

async function isMounted(path: string): Promise<boolean> {
  return (await mountsOf("self")).some(({ mountpoint }) => mountpoint === path);
}

async function withOpen(
  path: string,
  onFailure: (error: Error) => Promise<void>,
  work: (handle: FileHandle) => Promise<void>,
): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch(onFailure);
  if (!handle) return;
  try {
    await work(handle);
  } finally {
    await handle.close();
  }
}
