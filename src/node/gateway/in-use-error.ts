import type { ForOthers } from "../../streams/for-others.ts";
import { IN_USE } from "../../transport/close-codes.ts";

/** Another session has the place. The other side may ask to take it over. */
export class InUseError extends Error implements ForOthers {
  override name = "InUseError";
  readonly closeCode = IN_USE;
  readonly forOthers: string;

  constructor(message: string, forOthers: string) {
    super(message);
    this.forOthers = forOthers;
  }
}
