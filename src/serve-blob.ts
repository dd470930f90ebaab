import { blobExport } from "./export/blob.ts";
import { sampleOf } from "./export/blob-sample.ts";
import { type LinkOptions, type Medium, type ServerOwner, serveMedium } from "./serve-medium.ts";

/** `serveMedium` for a page's file. */
export function serveBlob(
  endpoint: string,
  file: Blob,
  options: LinkOptions,
  owner: ServerOwner,
): Promise<void> {
  const sample = sampleOf(file);
  const medium: Medium = {
    file: blobExport(file),
    name: (file as Partial<File>).name,
    look: sample && (() => sample.look()),
    serveAgain: async (disk, again) =>
      (await import("./resuming/serve-file-again.ts")).serveFileAgain(disk, file, again),
  };
  return serveMedium(endpoint, medium, options, owner);
}
