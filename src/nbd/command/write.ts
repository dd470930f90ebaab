import { Errno } from "../../export/error.ts";
import { CommandFlag } from "../constants.ts";
import type { CommandHandler } from "./command.ts";
import { isAligned, isInside } from "./range.ts";

/** NBD_CMD_WRITE. */
export const write: CommandHandler = {
  flags: 0,
  refuse(request, target, negotiated) {
    if (!target.write) return Errno.EPERM;
    if (!isInside(request, negotiated)) return Errno.ENOSPC;
    if (!isAligned(request, negotiated)) return Errno.EINVAL;
    return undefined;
  },
  async serve({ offset, payload, flags }, target) {
    if (!payload || payload.byteLength === 0) return undefined;
    await target.write!(offset, payload, { fua: (flags & CommandFlag.FUA) !== 0 });
    return undefined;
  },
};
