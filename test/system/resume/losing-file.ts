/** Takes the place of src/node/file.ts in an nbd-serve that loses what was not flushed when it is killed. */
import { type FileExportOptions, type OpenedFile, openFile as open } from "../../../src/node/file.ts";
import { disposable } from "../../../src/streams/disposable.ts";
import { losingDisk } from "./losing-disk.ts";

export async function openFile(path: string | Buffer, options?: FileExportOptions): Promise<OpenedFile> {
  const opened = await open(path, options);
  return { ...opened, target: disposable(losingDisk(opened.target)) };
}
