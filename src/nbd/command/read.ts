import { Errno } from "../../export/error.ts";
import { MAX_PAYLOAD } from "../constants.ts";
import type { CommandHandler } from "./command.ts";
import { isAligned, isInside } from "./range.ts";

/** NBD_CMD_READ. A length of 0, which the specification leaves open, succeeds with no data. */
export const read: CommandHandler = {
  flags: 0,
  refuse(request, _target, negotiated) {
    if (!isInside(request, negotiated) || !isAligned(request, negotiated)) return Errno.EINVAL;
    if (request.length > (negotiated.blockSize?.maximum ?? MAX_PAYLOAD)) return Errno.EINVAL;
    return undefined;
  },
  async serve({ offset, length }, target) {
    return length === 0 ? undefined : target.read(offset, length);
  },
};
