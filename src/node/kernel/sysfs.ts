import { readFile, writeFile } from "node:fs/promises";

/** Settings of a block device's queue, in KiB or requests (Documentation/ABI/stable/sysfs-block of the kernel). */
export type QueueSetting = "max_sectors_kb" | "read_ahead_kb" | "nr_requests";

/** What the kernel says of an nbd device in /sys/block. */
export class DeviceSysfs {
  readonly #folder: string;

  /** @param index N of /dev/nbdN */
  constructor(index: number) {
    this.#folder = `/sys/block/nbd${index}`;
  }

  /** Bytes, 0 when nothing is attached. */
  async size(): Promise<number> {
    // In sectors of 512 bytes, whatever the block size of the device.
    return Number((await this.#read("size")) ?? 0) * 512;
  }

  /** The process that attached what is there; undefined when nothing is. */
  async pid(): Promise<number | undefined> {
    const text = await this.#read("pid");
    return text ? Number(text) : undefined;
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
