import { open } from "node:fs/promises";
import type { DeviceSysfs } from "./sysfs.ts";
import { systemCalls } from "./system-calls.ts";

/**
 * Writes what this machine holds of a device and of its partitions: their own pages (fsync(2)) and, before those, what
 * the file systems hold that are mounted from them (BLKFLSBUF, linux/fs.h). All in threads, as the device's requests
 * are answered meanwhile.
 *
 * @throws the error of a system call: something could not be written
 */
export async function flushDevice(path: string, sysfs: DeviceSysfs): Promise<void> {
  const partitions = (await sysfs.partitions()).map((name) => `/dev/${name}`);
  for (const file of [...partitions, path]) await flushFile(file);
}

async function flushFile(file: string): Promise<void> {
  const { flushBuffers } = await systemCalls();
  const handle = await open(file, "r+").catch((error: NodeJS.ErrnoException) => {
    // A partition that was taken away meanwhile, or has no node: nobody can have it mounted.
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  if (!handle) return;
  try {
    await flushBuffers(handle.fd);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
