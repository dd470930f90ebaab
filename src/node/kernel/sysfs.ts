import { readFile, writeFile } from "node:fs/promises";

/** Settings of a block device's queue, in KiB, requests or bytes (Documentation/ABI/stable/sysfs-block of the kernel). */
export type QueueSetting = "max_sectors_kb" | "read_ahead_kb" | "nr_requests" | "discard_max_bytes";

/** What the kernel says of an nbd device in /sys/block. */
export class DeviceSysfs {
  /** The device's name, as nbd0. */
  readonly name: string;
  readonly #folder: string;

  /** @param index N of /dev/nbdN */
  constructor(index: number) {
    this.name = `nbd${index}`;
    this.#folder = `/sys/block/${this.name}`;
  }

  /** Bytes, 0 when nothing is attached. */
  async size(): Promise<number> {
    // In sectors of 512 bytes, whatever the block size of the device.
    return Number((await this.#read("size")) ?? 0) * 512;
  }

  /** Whether something is attached. */
  async isAttached(): Promise<boolean> {
    return (await this.#read("pid")) !== undefined;
  }

  /** The process that attached what is there, also one that has ended meanwhile; undefined when nothing is. */
  async pid(): Promise<number | undefined> {
    const thread = await this.#read("pid");
    if (!thread) return undefined;
    // The kernel takes down the thread that asked, which is not the first one of a process that does so aside.
    const status = await readFile(`/proc/${thread}/status`, "ascii").catch(() => "");
    return Number(/^Tgid:\s*(\d+)$/m.exec(status)?.[1] ?? thread);
  }

  /** What the process that attached it called itself, where it did. */
  async backend(): Promise<string | undefined> {
    return this.#read("backend");
  }

  async setting(name: QueueSetting): Promise<number> {
    return Number(await this.#read(`queue/${name}`));
  }

  async set(name: QueueSetting, value: number): Promise<void> {
    await writeFile(`${this.#folder}/queue/${name}`, String(value));
  }

  /** The text of an attribute; undefined when it is not there, as most are only while something is attached. */
  async #read(name: string): Promise<string | undefined> {
    try {
      return (await readFile(`${this.#folder}/${name}`, "utf8")).trim();
    } catch {
      return undefined;
    }
  }
}
