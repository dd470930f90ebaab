import { fstatSync } from "node:fs";
import { type SystemCalls, systemCalls } from "./kernel/system-calls.ts";

/** Bytes that a pipe is made to hold: what anybody may ask for, unless the administrator says otherwise (pipe(7), pipe-max-size). */
const WANTED = 1 << 20;

/**
 * Makes a pipe hold 1 MiB in place of 64 KiB, or as much of that as is allowed. One that holds more stays as it is, and what is no pipe
 * is left alone.
 * @returns the bytes that it holds now; undefined where it is no pipe, is closed, or cannot be known since koffi is absent
 */
export async function enlargePipe(fd: number): Promise<number | undefined> {
  try {
    return fstatSync(fd).isFIFO() ? enlarged(fd, await systemCalls()) : undefined;
  } catch {
    return undefined;
  }
}

/** The same, by these calls. */
export function enlarged(fd: number, calls: Pick<SystemCalls, "getPipeSize" | "setPipeSize">): number {
  const size = calls.getPipeSize(fd);
  for (let wanted = WANTED; wanted > size; wanted /= 2) {
    try {
      return calls.setPipeSize(fd, wanted);
    } catch {
      // Less may be allowed.
    }
  }
  return size;
}
