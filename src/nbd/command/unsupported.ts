import { Errno } from "../../export/error.ts";
import type { CommandHandler } from "./command.ts";

/** Any other command. */
export const unsupported: CommandHandler = {
  flags: 0xffff,
  refuse: () => Errno.EINVAL,
  serve: async () => undefined,
};
