import { Errno } from "../../export/error.ts";
import type { CommandHandler } from "./command.ts";

/** NBD_CMD_FLUSH. Offset and length are reserved and must be 0. */
export const flush: CommandHandler = {
  flags: 0,
  refuse({ offset, length }, target) {
    return !target.flush || offset !== 0 || length !== 0 ? Errno.EINVAL : undefined;
  },
  async serve(_request, target) {
    await target.flush!();
    return undefined;
  },
};
