import { Errno } from "../../export/error.ts";
import type { CommandHandler } from "./command.ts";
import { isAligned, isInside } from "./range.ts";

/** NBD_CMD_CACHE. Its length knows no maximum, as it carries no payload. */
export const cache: CommandHandler = {
  flags: 0,
  // Read-ahead looks through all whom it reads for.
  effort: 15,
  refuse(request, target, negotiated) {
    if (!target.cache || !isInside(request, negotiated) || !isAligned(request, negotiated))
      return Errno.EINVAL;
    return undefined;
  },
  async serve({ offset, length }, target) {
    if (length > 0) await target.cache!(offset, length);
    return undefined;
  },
};
