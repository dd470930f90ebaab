import { Errno } from "../../export/error.ts";
import type { CommandHandler } from "./command.ts";

/** Every command that the protocol does not know. */
export const unsupported: CommandHandler = {
  flags: 0xffff,
  refuse: () => Errno.EINVAL,
  serve: async () => undefined,
};
