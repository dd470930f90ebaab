import { Errno } from "../../export/error.ts";
import { type WritableExport, writeZeroesUnchecked } from "../../export/zeroes.ts";
import { CommandFlag } from "../constants.ts";
import type { CommandHandler } from "./command.ts";
import { isAligned, isInside } from "./range.ts";

/** NBD_CMD_WRITE_ZEROES. Its length has no maximum, since it has no payload. */
export const writeZeroes: CommandHandler = {
  flags: CommandFlag.NO_HOLE | CommandFlag.FAST_ZERO,
  refuse(request, target, negotiated) {
    if (!target.write) return Errno.EPERM;
    if (!isInside(request, negotiated)) return Errno.ENOSPC;
    if (!isAligned(request, negotiated)) return Errno.EINVAL;
    return undefined;
  },
  async serve({ offset, length, flags }, target) {
    if (length === 0) return undefined;
    const options = {
      fua: (flags & CommandFlag.FUA) !== 0,
      noHole: (flags & CommandFlag.NO_HOLE) !== 0,
      fast: (flags & CommandFlag.FAST_ZERO) !== 0,
    };
    if (target.writeZeroes) await target.writeZeroes(offset, length, options);
    else await writeZeroesUnchecked(target as WritableExport, offset, length, options);
    return undefined;
  },
};
