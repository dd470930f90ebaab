import { messageOf } from "../../streams/message-of.ts";
import { Errno, ExportError } from "../error.ts";
import type { Change } from "./change.ts";
import type { CurrentLink } from "./current-link.ts";
import { inLines } from "./in-lines.ts";
import type { UnflushedChanges } from "./unflushed-changes.ts";

/** How many changes are sent again at a time; the link itself bounds their bytes. */
const LINES = 1024;

export interface AcknowledgedOptions {
  unflushed: Pick<UnflushedChanges, "moment" | "add" | "flushed" | "has" | "all" | "giveUp">;
  /** Whether the export can flush. Without that nothing is kept. */
  hasFlush: boolean;
  /** That of the first link. */
  incarnation: string | undefined;
  /** Whether a call has failed because its link is gone. */
  isLost(link: CurrentLink, error: unknown): boolean;
  /** Takes a line for people. */
  log(line: string): void;
}

/** What was acknowledged: it is there, or is made again on a server that may have lost it, or is known to be lost. */
export class Acknowledged {
  readonly #options: AcknowledgedOptions;
  /** The incarnation that has all that was acknowledged. */
  #completeAt: string | undefined;
  #isWhole = true;
  /** Changes were acknowledged by an export without flush. */
  #hasChanged = false;

  constructor(options: AcknowledgedOptions) {
    this.#options = options;
    this.#completeAt = options.incarnation;
  }

  /** Whether all that was acknowledged is there. Where it is not, changes and flushes fail. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** @throws ExportError of EIO */
  throwUnlessWhole(): void {
    if (this.#isWhole) return;
    const what = "what was acknowledged before may be lost, so nothing is written or flushed any more";
    throw new ExportError(Errno.EIO, `${what}; reads go on`);
  }

  /** Takes note of a change that was answered. False: it has to be flushed before it is acknowledged. */
  note(change: Change): boolean {
    const { hasFlush, unflushed } = this.#options;
    if (hasFlush) return unflushed.add(change);
    this.#hasChanged = true;
    return true;
  }

  /** Flushes, on a link that has all that was acknowledged. What is true then stays true, so the answer may come late. */
  async flushOn(link: CurrentLink): Promise<void> {
    const { unflushed } = this.#options;
    const { moment } = unflushed;
    await link.target.flush!();
    unflushed.flushed(moment);
  }

  /** A flush that nobody has asked for. When it fails nobody would learn of what was lost, but for this. */
  async flushUnasked(link: CurrentLink): Promise<void> {
    try {
      await this.flushOn(link);
    } catch (error) {
      if (!this.#options.isLost(link, error)) this.#break(`a flush has failed: ${messageOf(error)}`);
      throw error;
    }
  }

  /**
   * Makes sure that the server has all that was acknowledged, if that can be had.
   * @returns whether the link is still there
   */
  async makeWhole(link: CurrentLink): Promise<boolean> {
    const { unflushed, isLost } = this.#options;
    const { incarnation, target } = link;
    const hasAll = incarnation !== undefined && incarnation === this.#completeAt;
    if (hasAll || !this.#isWhole) return !link.isOver;
    // If this ends half way, there is none that has everything.
    this.#completeAt = undefined;
    if (this.#hasChanged) {
      this.#break("the server was started anew, and cannot flush");
      return !link.isOver;
    }
    try {
      await inLines(unflushed.all(), LINES, ({ start, end, kept }) => kept.again!(target, start, end));
      this.#completeAt = incarnation;
    } catch (error) {
      if (isLost(link, error)) return false;
      this.#break(`the server was started anew, and cannot be sent it again: ${messageOf(error)}`);
    }
    return !link.isOver;
  }

  /** From now on nothing is changed, as something that was acknowledged may be lost. */
  #break(why: string) {
    if (!this.#isWhole) return;
    this.#isWhole = false;
    this.#options.unflushed.giveUp();
    const what = "what was written last may be lost, so nothing is written any more; reads go on";
    this.#options.log(`${what}: ${why}`);
  }
}
