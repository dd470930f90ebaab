import type { Log } from "../../src/node/log/log.ts";
import type { Ending } from "./course.ts";

/** Tells somebody what happens while nbd-serve serves. */
export interface Witness {
  /** Takes a line for people. */
  line: Log;
  /** The state of the course has changed. */
  changed?(): void;
  /**
   * It is over. Nothing of this witness is left when the promise is settled.
   * @param fault what it has failed with, in words
   */
  ended?(how: Ending, fault?: string): Promise<void> | void;
}
