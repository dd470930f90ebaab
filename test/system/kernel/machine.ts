/**
 * A real Linux kernel with an nbd module, for tests: User-Mode Linux of Debian's package user-mode-linux, which boots as a
 * process, with this machine's files as its own. What runs in it finds Node and this checkout where they are here.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, Sandbox } from "../../harness.ts";

/** Where Debian's package has the kernel's modules. */
const MODULES = "/usr/lib/uml/modules";

/** Minutes after which a machine that has not ended is switched off. */
const MINUTES = 8;

export interface MachineOptions {
  /** Memory in MiB. */
  memory?: number;
  /** Words for the environment of what runs. */
  env?: Record<string, string>;
}

/** What a program that ran in the machine has left. */
export interface Outcome {
  status: number;
  output: string;
}

/** Boots a machine, runs a script of this checkout in it with Node, and switches it off. */
export async function runInMachine(
  script: string,
  { memory = 1024, env = {} }: MachineOptions = {},
): Promise<Outcome> {
  const sandbox = new Sandbox();
  const [output, status, init] = ["output", "status", "init.sh"].map((name) => sandbox.path(name));
  const environment = {
    ...env,
    NODE_V8_COVERAGE: process.env.NODE_V8_COVERAGE ?? "",
    CI: process.env.CI ?? "",
  };
  const exports = Object.entries(environment).map(([name, value]) => `export ${name}='${value}'`);
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
mkdir -p /run/modules/lib && ln -s ${MODULES} /run/modules/lib/modules
modprobe --dirname /run/modules nbd nbds_max=4
modprobe --dirname /run/modules isofs
cd ${root}
${process.execPath} --import tsx ${script} > ${output} 2>&1 < /dev/null
echo $? > ${status}
sync
halt -f
`,
    { mode: 0o755 },
  );
  const machine = sandbox.start("linux.uml", [
    `mem=${memory}M`,
    "rootfstype=hostfs",
    "rootflags=/",
    "rw",
    `init=${init}`,
    `uml_dir=${sandbox.folder}`,
    "con=null",
    "con0=fd:0,fd:1",
    "quiet",
  ]);
  const deadline = setTimeout(() => machine.kill("SIGKILL"), MINUTES * 60_000);
  try {
    await machine.exit;
    const text = existsSync(output!) ? readFileSync(output!, "utf8") : "";
    if (!existsSync(status!))
      throw new Error(`the machine has died\n${text}\n${machine.stdout}${machine.stderr}`);
    return { status: Number(readFileSync(status!, "utf8")), output: text };
  } finally {
    clearTimeout(deadline);
    await sandbox.end();
  }
}

/** The scripts that run in the machine. */
export function machineScripts(): string[] {
  return readdirSync(join(root, "test/system/kernel"))
    .filter((name) => name.endsWith(".uml.ts"))
    .map((name) => join("test/system/kernel", name));
}
