import type { Export } from "../../export/export.ts";
import type { ByteBudget } from "../../streams/budget.ts";
import type { Configuration } from "../config/config.ts";
import type { Log } from "../log/log.ts";

/** An export in use on this machine: what its users see, whatever link it comes over. */
export interface Attachment {
  /** Where it is found, for people. */
  readonly where: string;
  /** Settles when its users, or the machine, have ended it; a listener's never does. It is safe to ignore. */
  readonly ended?: Promise<void>;
  /**
   * Brings what this machine still holds of what was written to the export, and has that flushed.
   * @throws Error when something is lost
   */
  flush?(): Promise<void>;
  /** Takes the export away from its users: requests that are outstanding are answered first. */
  detach(): Promise<void>;
}

export interface AttachOptions {
  /** The export's name, for those who use it. */
  exportName: string;
  /** Bytes in flight for all users of the process. */
  budget: ByteBudget;
  /** Seconds for which requests may wait for a new link, beyond their own time. Default 0. */
  patience?: number;
  /** Takes a line for people. */
  log: Log;
  /** Asks to be done with it soon. */
  signal: AbortSignal;
}

/** A place on this machine that one session has for itself, before it has an export to put there. */
export interface Place {
  /**
   * Puts an export there. Whatever link the export comes over is not the concern of this.
   * @throws Error when that is not possible, with what to do
   */
  attach(target: Export, options: AttachOptions): Promise<Attachment>;
  /** Gives the place back, once nothing is attached there. */
  release(): void | Promise<void>;
}

/** How a session comes to its place. */
export interface Places {
  /**
   * Finds out whether the place of a configuration could be had now. Nothing is held.
   * @throws Error when it is not there, cannot be had, or somebody else has it
   */
  look(configuration: Configuration): Promise<void>;
  /**
   * Takes the place.
   * @throws Error as `look`
   */
  claim(configuration: Configuration): Promise<Place>;
}
