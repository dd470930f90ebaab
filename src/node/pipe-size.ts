import { fstatSync } from "node:fs";
import { systemCalls } from "./kernel/system-calls.ts";

/** Bytes that a pipe is made to hold: what anybody may ask for, unless the administrator says otherwise (pipe(7), pipe-max-size). */
const WANTED = 1 << 20;

/**
 * Makes pipes hold 1 MiB in place of 64 KiB, or as much of that as is allowed.
 * @param fds descriptors; those that are no pipes are left alone
 * @returns the bytes that each holds now; undefined where it is no pipe, or cannot be known since koffi is absent
 */
export async function enlargePipes<const Fds extends readonly number[]>(
  fds: Fds,
): Promise<{ [I in keyof Fds]: number | undefined }> {
  const pipes = fds.map((fd) => (isPipe(fd) ? fd : undefined));
  const calls = pipes.some((fd) => fd !== undefined) ? await systemCalls().catch(() => undefined) : undefined;
  const enlarged = (fd: number): number | undefined => {
    for (let wanted = WANTED; wanted >= WANTED / 8; wanted /= 2) {
      try {
        return calls?.setPipeSize(fd, wanted);
      } catch {
        // Less may be allowed.
      }
    }
    return undefined;
  };
  return pipes.map((fd) => (fd === undefined ? undefined : enlarged(fd))) as {
    [I in keyof Fds]: number | undefined;
  };
}

function isPipe(fd: number): boolean {
  try {
    return fstatSync(fd).isFIFO();
  } catch {
    return false; // it is closed already
  }
}
