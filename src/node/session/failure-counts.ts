import { Errno, ExportError, errnoName } from "../../export/error.ts";

/** How many requests have failed, by their command and by the name of the errno that the client was given. */
export class FailureCounts {
  readonly #counts = new Map<string, Map<string, number>>();

  /** @param command for example "READ" */
  add(command: string, error: unknown): void {
    // Any other error becomes EIO where it is answered.
    const errno = errnoName(error instanceof ExportError ? error.errno : Errno.EIO);
    const ofCommand = this.#counts.get(command) ?? new Map<string, number>();
    this.#counts.set(command, ofCommand.set(errno, (ofCommand.get(errno) ?? 0) + 1));
  }

  /** The commands that have failed, with how often each errno was given. */
  *[Symbol.iterator](): Generator<readonly [command: string, errno: string, count: number]> {
    for (const [command, counts] of this.#counts) {
      for (const [errno, count] of counts) yield [command, errno, count];
    }
  }
}
