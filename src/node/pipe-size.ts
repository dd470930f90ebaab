import { fstatSync } from "node:fs";
import { type SystemCalls, systemCalls } from "./kernel/system-calls.ts";

/** Bytes that a pipe is made to hold: what anybody may ask for, unless the administrator says otherwise (pipe(7), pipe-max-size). */
const WANTED = 1 << 20;

/**
 * Makes pipes hold 1 MiB in place of 64 KiB, or as much of that as is allowed. One that holds more stays as it is.
 * @param fds descriptors; those that are no pipes are left alone
 * @returns the bytes that each holds now; undefined where it is no pipe, is closed, or cannot be known since koffi is absent
 */
export async function enlargePipes<const Fds extends readonly number[]>(
  fds: Fds,
): Promise<{ [I in keyof Fds]: number | undefined }> {
  const pipes = fds.map((fd) => (isPipe(fd) ? fd : undefined));
  const calls = pipes.some((fd) => fd !== undefined) ? await systemCalls().catch(() => undefined) : undefined;
  const sizeOf = (fd: number | undefined) => {
    try {
      return fd === undefined || calls === undefined ? undefined : enlarged(fd, calls);
    } catch {
      return undefined; // it was closed meanwhile
    }
  };
  return pipes.map(sizeOf) as { [I in keyof Fds]: number | undefined };
}

/** The same for one pipe. */
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

function isPipe(fd: number): boolean {
  try {
    return fstatSync(fd).isFIFO();
  } catch {
    return false; // it is closed already
  }
}
