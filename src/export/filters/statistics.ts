import { checkObject } from "../../streams/check.ts";
import type { Export, Filter } from "../export.ts";
import type { OnExportError } from "../failed-request.ts";
import { forward } from "./forward.ts";

/** What went through an export so far; the numbers grow in place. */
export interface Statistics {
  reads: number;
  bytesRead: number;
  writes: number;
  bytesWritten: number;
  trims?: number;
  zeroes?: number;
  flushes?: number;
}

/**
 * Counts what succeeds in reading from and changing the next export, into `counts`.
 * @param onFailure takes what fails, and what it was asked for
 */
export function statistics(counts: Statistics, onFailure: OnExportError = () => {}): Filter {
  checkObject(counts, "the counts");
  async function change(
    command: string,
    offset: number,
    length: number,
    work: () => Promise<void>,
    count: () => void,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      onFailure(error as Error, { command, offset, length });
      throw error;
    }
    count();
  }
  /** Counts a call that changes no number of bytes. */
  const counting = (name: "trims" | "zeroes" | "flushes") => () => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  return (next: Export) => {
    const counted: Export = {
      ...forward(next),
      read(offset, length, options) {
        const reading = next.read(offset, length, options);
        const count = () => {
          counts.reads++;
          counts.bytesRead += length;
        };
        reading.then(count, (error) => onFailure(error, { command: "READ", offset, length }));
        return reading;
      },
    };
    const { write, trim, writeZeroes, flush } = counted;
    if (write) {
      counted.write = (offset, data, options) => {
        const { byteLength } = data;
        const count = () => {
          counts.writes++;
          counts.bytesWritten += byteLength;
        };
        return change("WRITE", offset, byteLength, () => write(offset, data, options), count);
      };
    }
    if (trim) {
      counted.trim = (offset, length, options) =>
        change("TRIM", offset, length, () => trim(offset, length, options), counting("trims"));
    }
    if (writeZeroes) {
      counted.writeZeroes = (offset, length, options) =>
        change(
          "WRITE_ZEROES",
          offset,
          length,
          () => writeZeroes(offset, length, options),
          counting("zeroes"),
        );
    }
    if (flush) counted.flush = () => change("FLUSH", 0, 0, flush, counting("flushes"));
    return counted;
  };
}

/** How often something was changed, or brought to stable storage: what tells a slow end from one that hangs. */
export function changes({ writes, trims = 0, zeroes = 0, flushes = 0 }: Statistics): number {
  return writes + trims + zeroes + flushes;
}
