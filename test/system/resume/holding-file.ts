/** Takes the place of src/node/file.ts in an nbd-serve whose first write of a byte HELD waits for a file. */
import { existsSync, writeFileSync } from "node:fs";
import { type FileExportOptions, type OpenedFile, openFile as open } from "../../../src/node/file.ts";
import { disposable } from "../../../src/streams/disposable.ts";
import { until } from "../../waiting.ts";

/** What is held back begins with it. */
export const HELD = 0xaa;

/** What is added to the image's path: a write is held back; and it may go on. */
export const IS_HELD = ".held";
export const GO = ".go";

export async function openFile(path: string | Buffer, options?: FileExportOptions): Promise<OpenedFile> {
  const opened = await open(path, options);
  const { target } = opened;
  let isFirst = true;
  const write: typeof target.write = async (offset, data, options) => {
    const copy = new Uint8Array(data);
    if (copy[0] === HELD && isFirst) {
      isFirst = false;
      writeFileSync(`${path}${IS_HELD}`, "");
      await until("it may go on", () => existsSync(`${path}${GO}`), 60_000);
    }
    await target.write!(offset, copy, options);
  };
  return { ...opened, target: disposable({ ...target, write }) };
}
