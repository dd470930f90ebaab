import { Errno } from "../../export/error.ts";
import { Command } from "../constants.ts";
import type { CommandHandler } from "./command.ts";

const writing = new Set<number>([Command.TRIM, Command.WRITE_ZEROES]);

/** Every command that is not advertised: EPERM for one that writes to a read-only export, else EINVAL. */
export const unsupported: CommandHandler = {
  flags: 0xffff,
  refuse: ({ type }, target) => (writing.has(type) && !target.write ? Errno.EPERM : Errno.EINVAL),
  serve: async () => undefined,
};
