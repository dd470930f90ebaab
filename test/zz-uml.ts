import { runInMachine } from "/work/w/session/test/system/kernel/machine.ts";
import { userModeLinux } from "/work/w/session/test/system/kernel/user-mode-linux.ts";

const { status, output } = await runInMachine(userModeLinux, process.argv[2]!);
console.log(status, output);
