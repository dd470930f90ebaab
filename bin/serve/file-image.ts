import { basename } from "node:path";
import { openFile } from "../../src/node/file.ts";
import { fileIdentity } from "../../src/node/resuming/file-identity.ts";
import { OwnWrites } from "../../src/node/resuming/own-writes.ts";
import { soleWriter } from "../../src/node/resuming/sole-writer.ts";
import { reasonOf } from "../../src/node/system-error.ts";
import { messageOf } from "../../src/streams/message-of.ts";
import type { Image } from "./image.ts";

/**
 * Opens a file, or a block device.
 * @param image its path as it was written, for people
 * @throws Error in words
 */
export async function openFileImage(image: string, path: string | Buffer, writable: boolean): Promise<Image> {
  const unopened = (reason: string) => new Error(`opening ${image}: ${reason}`);
  const { handle, target, modifiedBefore } = await openFile(path, { writable }).catch((error: unknown) => {
    throw unopened(reasonOf(error));
  });
  const unlock = writable
    ? await soleWriter(handle).catch((error: unknown) => {
        throw unopened(messageOf(error));
      })
    : undefined;
  const name = basename(image);
  return {
    name,
    target,
    medium: target,
    async resuming(state) {
      const writes = writable
        ? await OwnWrites.of(handle, {
            before: state.written,
            modifiedBefore,
            note: (record) => state.note(record),
          })
        : undefined;
      return {
        target: writes?.watch(target) ?? target,
        identity: () => fileIdentity(handle, { name, size: target.size, writes }),
        begin: async () => writes?.begin(),
        end: async () => writes?.end(),
      };
    },
    async close() {
      await target.flush?.();
      await target.close();
      unlock?.();
    },
  };
}
