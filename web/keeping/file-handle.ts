/** A file that a person has chosen, as Chromium lets a page remember it. Other browsers give none. */
export interface FileHandle {
  readonly kind: "file" | "directory";
  getFile(): Promise<File>;
  /** Asks the person, if that has to be, which takes a click. */
  requestPermission?(options: { mode: "read" }): Promise<PermissionState>;
  /** Whether the file may be read without asking the person. */
  queryPermission?(options: { mode: "read" }): Promise<PermissionState>;
  isSameEntry?(other: FileHandle): Promise<boolean>;
}

type Picker = () => Promise<FileHandle[]>;

const { showOpenFilePicker } = globalThis as { showOpenFilePicker?: Picker };

/** Whether `pickFile` can be called. */
export const hasPicker = showOpenFilePicker !== undefined;

/** Has a person choose a file. Returns undefined if they do not. */
export async function pickFile(): Promise<FileHandle | undefined> {
  try {
    const [handle] = await showOpenFilePicker!.call(globalThis);
    return handle;
  } catch (error) {
    if ((error as Error).name === "AbortError") return undefined;
    throw error;
  }
}

/** The handle of a file that was dropped. It is asked for in the event itself; later the event has forgotten it. */
export async function droppedHandle(item: DataTransferItem | undefined): Promise<FileHandle | undefined> {
  const { getAsFileSystemHandle } = (item ?? {}) as { getAsFileSystemHandle?(): Promise<FileHandle | null> };
  const handle = await getAsFileSystemHandle?.call(item).catch(() => null);
  return handle?.kind === "file" ? handle : undefined;
}

/**
 * The file as it is now.
 * @throws Error in words if it may not be read, or is not there
 */
export async function fileOf(handle: FileHandle): Promise<File> {
  const permission = await handle.requestPermission?.({ mode: "read" });
  if (permission === "denied" || permission === "prompt")
    throw new Error("the browser was not allowed to read it");
  return handle.getFile();
}

/** The file as it is now, if that takes no question. */
export async function fileUnasked(handle: FileHandle): Promise<File | undefined> {
  try {
    const permission = await handle.queryPermission?.({ mode: "read" });
    return permission === "granted" ? await handle.getFile() : undefined;
  } catch {
    return undefined; // it is not there any more
  }
}
