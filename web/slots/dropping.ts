import { droppedHandle, type FileHandle } from "../keeping/file-handle.ts";

/** A file that was dropped beside the cards. */
export interface Dropped {
  readonly file: File;
  readonly handle: FileHandle | undefined;
  readonly isFolder: boolean;
}

/**
 * Takes what is dropped on the page and not on a card, which takes it itself: the browser would open it in the page's place.
 *
 * @param ondrop also takes how many there were
 */
export function takeDrops(ondrop: (dropped: Dropped, count: number) => void): void {
  for (const type of ["dragenter", "dragover"] as const) {
    addEventListener(type, (event) => event.preventDefault());
  }
  addEventListener("drop", (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    const { files, items } = event.dataTransfer ?? {};
    const [file] = files ?? [];
    if (!file) return;
    const count = files?.length ?? 0;
    const item = [...(items ?? [])].find(({ kind }) => kind === "file");
    const isFolder = item?.webkitGetAsEntry?.()?.isDirectory ?? false;
    // It is asked for in the event: later the event has forgotten its files.
    void droppedHandle(item).then((handle) => ondrop({ file, handle, isFolder }, count));
  });
}
