import type { Sandbox } from "../../harness.ts";
import type { Machine } from "./machine.ts";

/**
 * What runs a shell script so that all that it starts ends with it, and it with this process: User-Mode Linux is in a
 * session of its own. Needs root.
 */
export const contained = (script: string, ...namespaces: string[]): [string, string[]] => {
  const own = ["--pid", "--fork", "--kill-child", "--mount-proc", ...namespaces];
  return ["setpriv", ["--pdeathsig", "KILL", "unshare", ...own, "sh", "-c", script]];
};

/** The command line that boots User-Mode Linux. */
export const linuxCommand = (sandbox: Sandbox, init: string, memory: number): string =>
  [
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
  ].join(" ");

/** User-Mode Linux of Debian's package user-mode-linux, which boots as a process. It has one processor. */
export const userModeLinux: Machine = {
  modules: "/usr/lib/uml/modules",
  boot: (sandbox, init, memory) =>
    sandbox.start(...contained(`${linuxCommand(sandbox, init, memory)}; exit $?`)),
};
