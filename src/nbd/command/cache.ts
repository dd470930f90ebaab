import { Errno } from "../../export/error.ts";
import type { CommandHandler } from "./command.ts";
import { isAligned, isInside } from "./range.ts";

/** NBD_CMD_CACHE. Its length has no maximum, since it has no payload. */
export const cache: CommandHandler = {
  flags: 0,
  // Read-ahead searches all its readers.
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
