import type { Export } from "../export/export.ts";
import { sampled } from "../export/samples.ts";
import { newWord } from "../nbd/word.ts";
import { messageOf } from "../streams/message-of.ts";
import { type Identity, type ServeAgainOptions, serveAgain } from "./serve-again.ts";

/** `serveAgain` for a page's file. */
export async function serveFileAgain(
  target: Export,
  file: Blob,
  options: Omit<ServeAgainOptions, "identity" | "medium">,
): Promise<void> {
  const sample = new FileSample(file);
  await serveAgain(target, { ...options, medium: sample.medium, identity: () => sample.identity() });
}

/**
 * A File as it is now, past all that is kept of it. Firefox reads the new bytes of a file that was changed, while size and
 * `lastModified` stay the old ones.
 */
class FileSample {
  readonly medium: Pick<Export, "size" | "read">;
  readonly #file: Blob;
  readonly #nonce = newWord();
  #first: Uint8Array | undefined;
  #fault: unknown;

  constructor(file: Blob) {
    this.#file = file;
    this.medium = {
      size: file.size,
      read: async (offset, length) => {
        const bytes = new Uint8Array(await file.slice(offset, offset + length).arrayBuffer());
        if (bytes.byteLength === length) return bytes;
        throw new Error("the file has become shorter");
      },
    };
  }

  /**
   * Compares the file with what it was the first time.
   * @throws what reading it throws, if that makes the difference: it may be mended
   */
  async identity(): Promise<Identity> {
    const now = await this.#look();
    this.#first ??= now;
    const isChanged = now.some((byte, at) => byte !== this.#first![at]);
    if (isChanged && this.#fault) throw new Error(`the file cannot be read: ${messageOf(this.#fault)}`);
    const { name = "", lastModified: modified } = this.#file as Partial<File>;
    const changed = isChanged ? "the file was changed since it was chosen: it has other bytes" : undefined;
    return { name, modified, changed };
  }

  async #look(): Promise<Uint8Array> {
    this.#fault = undefined;
    const read = async (offset: number, length: number) => {
      try {
        return await this.medium.read(offset, length);
      } catch (error) {
        this.#fault = error;
        throw error;
      }
    };
    return sampled({ ...this.medium, read }, this.#nonce);
  }
}
