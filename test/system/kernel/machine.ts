/**
 * A real Linux kernel with an nbd module, for tests, with this machine's files as its own. What runs in it finds Node
 * and this checkout where they are here.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { type Running, root, Sandbox } from "../../harness.ts";
import { bundle } from "./bundle.ts";

/** Minutes after which a machine that has not ended is switched off. */
const MINUTES = 15;

/** How a kernel is booted. */
export interface Machine {
  /** The folder of the kernel's modules, which are in one that has the version's name. */
  readonly modules: string;
  /** Boots it with this init. What was started here ends when the machine is switched off. */
  boot(sandbox: Sandbox, init: string, memory: number): Running;
}

export interface MachineOptions {
  /** Memory in MiB. */
  memory?: number;
  /** Words for the environment of what runs. OUTSIDE is there already: a folder of this machine's. */
  env?: Record<string, string>;
}

/** What a program that ran in the machine has left. */
export interface Outcome {
  status: number;
  output: string;
}

/** Boots a machine, runs a script of this checkout in it with Node, and switches it off. */
export async function runInMachine(
  machine: Machine,
  script: string,
  { memory = 1024, env = {} }: MachineOptions = {},
): Promise<Outcome> {
  const sandbox = new Sandbox();
  const [output, status, init] = ["output", "status", "init.sh"].map((name) => sandbox.path(name));
  const environment = {
    // Coverage is taken of sources, and a bundle runs there.
    NODE_V8_COVERAGE: "",
    CI: process.env.CI ?? "",
    OUTSIDE: sandbox.folder,
    ...env,
  };
  const exports = Object.entries(environment).map(([name, value]) => `export ${name}='${value}'`);
  let deadline: NodeJS.Timeout | undefined;
  try {
    const bundled = await bundle(sandbox, script);
    writeFileSync(
      init!,
      `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs -o mode=755 run /run
mkdir -p /dev/shm /dev/pts /run/tmp /run/home
mount -t tmpfs shm /dev/shm
mount -t devpts devpts /dev/pts
ln -sf /proc/self/fd /dev/fd
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/home TMPDIR=/run/tmp
${exports.join("\n")}
ip link set lo up
mkdir -p /run/modules/lib && ln -s ${machine.modules} /run/modules/lib/modules
modprobe --dirname /run/modules nbd nbds_max=4
modprobe --dirname /run/modules isofs
cd ${root}
${process.execPath} --enable-source-maps ${bundled} > ${output} 2>&1 < /dev/null
echo $? > ${status}
sync
poweroff -f
`,
      { mode: 0o755 },
    );
    const running = machine.boot(sandbox, init!, memory);
    deadline = setTimeout(() => running.kill("SIGKILL"), MINUTES * 60_000);
    await running.exit;
    const text = existsSync(output!) ? readFileSync(output!, "utf8") : "";
    if (!existsSync(status!))
      throw new Error(`the machine has died\n${text}\n${running.stdout}${running.stderr}`);
    return { status: Number(readFileSync(status!, "utf8")), output: text };
  } finally {
    clearTimeout(deadline);
    await sandbox.end();
  }
}
