import { access, result } from "./database.ts";
import type { FileHandle } from "./file-handle.ts";

/** The handle that is kept under a name. */
export async function readHandle(name: string): Promise<FileHandle | undefined> {
  return access("handles", "readonly", (store) => result<FileHandle | undefined>(store.get(name)));
}

/** Keeps a handle; undefined: forgets it. Where a browser keeps none, the file has to be chosen again. */
export async function writeHandle(name: string, handle: FileHandle | undefined): Promise<void> {
  await access("handles", "readwrite", async (store) => {
    if (handle) await result(store.put(handle, name));
    else await result(store.delete(name));
  });
}
