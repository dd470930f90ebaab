/** Takes the place of src/node/file.ts in an nbd-serve whose flushes wait for a file, once another one says that they are to. */
import { existsSync } from "node:fs";
import { type FileExportOptions, type OpenedFile, openFile as open } from "../../src/node/file.ts";
import { disposable } from "../../src/streams/disposable.ts";
import { until } from "../waiting.ts";

/** What is added to the image's path: flushes wait while this file is there. */
export const SLOW = ".slow";

export async function openFile(path: string | Buffer, options?: FileExportOptions): Promise<OpenedFile> {
  const opened = await open(path, options);
  const { target } = opened;
  const flush = async () => {
    await until("it may go on", () => !existsSync(`${path}${SLOW}`), 60_000);
    await target.flush?.();
  };
  return { ...opened, target: disposable({ ...target, flush }) };
}
