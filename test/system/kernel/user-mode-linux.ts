import type { Machine } from "./machine.ts";

/** User-Mode Linux of Debian's package user-mode-linux, which boots as a process. It has one processor. */
export const userModeLinux: Machine = {
  modules: "/usr/lib/uml/modules",
  boot: (sandbox, init, memory) =>
    sandbox.start("linux.uml", [
      `mem=${memory}M`,
      "rootfstype=hostfs",
      "rootflags=/",
      "rw",
      `init=${init}`,
      `uml_dir=${sandbox.folder}`,
      "con=null",
      "con0=fd:0,fd:1",
      "quiet",
    ]),
  nodeArguments: async (_, script) => ["--import", "tsx", script],
};
