import { Errno, ExportError } from "../../export/error.ts";
import { byteLength } from "../../streams/payload.ts";
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
    if (length === 0) return undefined;
    const payload = await target.read(offset, length);
    // A reply does not say how long its data is, so a wrong length would put all that follows out of step.
    if (byteLength(payload) !== length) {
      throw new ExportError(Errno.EIO, `reading ${length} bytes at ${offset} gave ${byteLength(payload)}`);
    }
    return payload;
  },
};
