import { checkObject } from "../../streams/check.ts";
import type { Export, Filter } from "../export.ts";
import { forward } from "./forward.ts";

/** What went through an export so far; the numbers grow in place. */
export interface Statistics {
  reads: number;
  bytesRead: number;
  writes: number;
  bytesWritten: number;
}

/** Counts what succeeds in reading from and writing to the next export, into `counts`. */
export function statistics(counts: Statistics): Filter {
  checkObject(counts, "the counts");
  return (next: Export) => {
    const counted: Export = {
      ...forward(next),
      read(offset, length, options) {
        const reading = next.read(offset, length, options);
        const count = () => {
          counts.reads++;
          counts.bytesRead += length;
        };
        reading.then(count, () => {});
        return reading;
      },
    };
    if (next.write) {
      counted.write = async (offset, data, options) => {
        await next.write!(offset, data, options);
        counts.writes++;
        counts.bytesWritten += data.byteLength;
      };
    }
    return counted;
  };
}
