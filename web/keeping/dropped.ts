import { droppedHandle, type FileHandle } from "./file-handle.ts";

/** What a person has dropped. */
export interface Dropped {
  /** The first of the files. */
  readonly file: File;
  readonly handle: FileHandle | undefined;
  readonly isFolder: boolean;
  /** How many files there were. */
  readonly count: number;
}

/** What was dropped, if it is a file. It is asked for in the event itself: later the event has forgotten its files. */
export async function droppedIn(data: DataTransfer | null): Promise<Dropped | undefined> {
  const [file] = data?.files ?? [];
  if (!file) return undefined;
  const count = data?.files.length ?? 0;
  const item = [...(data?.items ?? [])].find(({ kind }) => kind === "file");
  const isFolder = item?.webkitGetAsEntry?.()?.isDirectory ?? false;
  return { file, handle: await droppedHandle(item), isFolder, count };
}
