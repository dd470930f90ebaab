import type { Writable } from "node:stream";

/** Bytes that may wait for a reader who is slow, or has stopped. */
export const BACKLOG = 1 << 16;

/** Milliseconds that a reader is given to take the last of it. */
const GOODBYE_TIME = 500;

/**
 * Has writes to a terminal never wait for it. Node has this process wait otherwise, and so all that it serves would stand still
 * while somebody has pressed Ctrl-S, or the laptop at the other end of ssh sleeps.
 */
export function unblock(stream: Writable): void {
  const { _handle } = stream as { _handle?: { setBlocking?(isBlocking: boolean): unknown } };
  _handle?.setBlocking?.(false);
}

/** Waits until all that was written is with the reader, for half a second at most. */
export async function taken(stream: Writable): Promise<void> {
  if (stream.writableLength === 0 || stream.destroyed) return;
  await new Promise<void>((resolve) => {
    const late = setTimeout(resolve, GOODBYE_TIME);
    stream.write("", () => {
      clearTimeout(late);
      resolve();
    });
  });
}
