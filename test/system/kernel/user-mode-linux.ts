import type { Sandbox } from "../../harness.ts";
import type { Machine } from "./machine.ts";

/** The command line that boots User-Mode Linux. */
export const linuxCommand = (sandbox: Sandbox, init: string, memory: number): [string, ...string[]] => [
  "linux.uml",
  `mem=${memory}M`,
  "rootfstype=hostfs",
  "rootflags=/",
  "rw",
  `init=${init}`,
  `uml_dir=${sandbox.folder}`,
  "con=null",
  "con0=fd:0,fd:1",
  "quiet",
];

/** User-Mode Linux of Debian's package user-mode-linux, which boots as a process. It has one processor. */
export const userModeLinux: Machine = {
  modules: "/usr/lib/uml/modules",
  boot(sandbox, init, memory) {
    const [program, ...args] = linuxCommand(sandbox, init, memory);
    return sandbox.start(program, args);
  },
  nodeArguments: async (_, script) => ["--import", "tsx", script],
};
