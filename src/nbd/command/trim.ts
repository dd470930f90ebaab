import { Errno } from "../../export/error.ts";
import { CommandFlag } from "../constants.ts";
import type { CommandHandler } from "./command.ts";
import { isAligned, isInside } from "./range.ts";

/** NBD_CMD_TRIM. Its length has no maximum, since it has no payload. */
export const trim: CommandHandler = {
  flags: 0,
  refuse(request, target, negotiated) {
    if (!target.write) return Errno.EPERM;
    if (!target.trim || !isInside(request, negotiated) || !isAligned(request, negotiated))
      return Errno.EINVAL;
    return undefined;
  },
  async serve({ offset, length, flags }, target) {
    if (length > 0) await target.trim!(offset, length, { fua: (flags & CommandFlag.FUA) !== 0 });
    return undefined;
  },
};
