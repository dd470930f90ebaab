import { giveBack } from "../../streams/lent.ts";
import { spareMemory } from "../../streams/reused-memory.ts";
import { HttpError } from "./http-error.ts";

/** Bodies of at least this many bytes are read into memory that is used again. */
const LONG = 1 << 16;

/**
 * Reads a body to its end, which must come after exactly `length` bytes. Long ones are lent.
 * @param onprogress called whenever bytes have come
 * @throws HttpError when it is of another length, or breaks off
 */
export async function readBody(
  body: ReadableStream<Uint8Array> | null,
  length: number,
  onprogress: () => void,
): Promise<Uint8Array> {
  const reader = body?.getReader();
  const bytes = length < LONG ? new Uint8Array(length) : spareMemory.lend(spareMemory.take(length));
  let at = 0;
  try {
    for (;;) {
      const { done, value } = (await reader?.read().catch(brokenOff(at, length))) ?? { done: true };
      if (done) break;
      onprogress();
      if (value.byteLength > length - at) {
        throw new HttpError(
          "too-long",
          `the server sent more than the ${length} bytes that it had announced`,
        );
      }
      bytes.set(value, at);
      at += value.byteLength;
    }
    if (at === length) return bytes;
    const words = `the server sent ${at} bytes, not the ${length} that it had announced`;
    throw new HttpError("too-short", words, { mayPass: true });
  } catch (error) {
    giveBack(bytes);
    reader?.cancel().catch(() => {});
    throw error;
  }
}

const brokenOff =
  (at: number, length: number) =>
  (cause: unknown): never => {
    const words = `the connection broke off after ${at} of ${length} bytes`;
    throw new HttpError("broken-off", words, { mayPass: true, cause });
  };
