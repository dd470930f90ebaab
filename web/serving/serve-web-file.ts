import type { Export } from "../../src/export/export.ts";
import type { HttpExport } from "../../src/export/http.ts";
import { serveAgain } from "../../src/resuming/serve-again.ts";
import {
  type AgainOptions,
  type LinkOptions,
  type ServerOwner,
  serveMedium,
} from "../../src/serve-medium.ts";
import type { WebFile } from "./source.ts";

export interface WebFileOwner extends ServerOwner {
  /** Called with a line for people: where a redirect leads, that the web server fails and is tried again. */
  onnote(line: string): void;
}

/** `serveMedium` for an image at an address. It is looked at before anything is connected. */
export async function serveWebFile(
  endpoint: string,
  { url, name, size }: WebFile,
  options: LinkOptions,
  owner: WebFileOwner,
): Promise<void> {
  const { signal, onnote } = owner;
  // Those who serve files do without.
  const { httpExport } = await import("../../src/export/http.ts");
  let file: HttpExport;
  try {
    file = await httpExport(url, { signal, onnote });
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  }
  try {
    checkSize(file, size);
    const medium = {
      file,
      name,
      serveAgain: (disk: Export, again: AgainOptions) =>
        serveAgain(disk, { ...again, medium: file, identity: () => file.identity() }),
    };
    await serveMedium(endpoint, medium, options, owner);
  } finally {
    // Not waited for: it takes as long as an answer that nobody needs any more.
    void file.close();
  }
}

/** The page shows what the image was when it was chosen. */
function checkSize(file: HttpExport, size: number): void {
  if (file.size === size) return;
  throw new Error(
    `${file.url} was changed since it was chosen: it has ${file.size} bytes in place of ${size}; serve it again`,
  );
}
