/** What several tests need: deadlines, temporary folders, and programs that end when the test does. */
import { type ChildProcess, spawn } from "node:child_process";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite, type Test } from "uvu";

/** The checkout. */
export const root = fileURLToPath(new URL("..", import.meta.url));

/** Where the built programs are. */
export const program = (name: "nbd-proxy" | "nbd-gateway" | "nbd-serve") =>
  join(root, "dist/bin", `${name}.js`);

/** Fails when a promise has not settled after so many milliseconds. */
export async function within<T>(milliseconds: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits until a condition holds, looking every 10 ms. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  milliseconds = 10_000,
) {
  const deadline = performance.now() + milliseconds;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`${what}: not after ${milliseconds} ms`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What a program is that a test started. */
export interface Running {
  readonly process: ChildProcess;
  readonly pid: number;
  /** What it has written so far. */
  stdout: string;
  stderr: string;
  /** Its exit status, or the name of the signal that ended it. */
  readonly exit: Promise<number | NodeJS.Signals>;
  kill(signal?: NodeJS.Signals): void;
}

export interface RunOptions {
  cwd?: string;
  env?: Record<string, string>;
  /** "pipe" leaves standard input and output to the test (stdout is then not collected). Default: no input. */
  wire?: boolean;
}

/** PATH with this Node before any other, which our programs look for there. */
const pathToNode = [dirname(process.execPath), process.env.PATH].join(delimiter);

/** A test's own folder and processes; `end()` removes and ends them all. */
export class Sandbox {
  readonly folder = mkdtempSync(join(tmpdir(), "nbd-proxy-test-"));
  readonly #running = new Set<Running>();

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Starts a program; one of ours, or a script, is run by this Node. It is killed at the end of the test at the latest. */
  start(command: string, args: readonly string[] = [], { cwd, env, wire = false }: RunOptions = {}): Running {
    const isScript = command.endsWith(".js") && !isExecutable(command);
    const child = spawn(isScript ? process.execPath : command, isScript ? [command, ...args] : args, {
      cwd: cwd ?? this.folder,
      // Coverage is taken of the sources, in this process.
      env: { ...process.env, PATH: pathToNode, NODE_V8_COVERAGE: "", TMPDIR: this.folder, ...env },
      stdio: [wire ? "pipe" : "ignore", "pipe", "pipe"],
    });
    const exit = new Promise<number | NodeJS.Signals>((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        this.#running.delete(running);
        resolve(signal ?? code ?? -1);
      });
    });
    exit.catch(() => {});
    const running: Running = {
      process: child,
      pid: child.pid ?? -1,
      stdout: "",
      stderr: "",
      exit,
      kill: (signal = "SIGTERM") => void child.kill(signal),
    };
    child.stderr!.on("data", (chunk) => {
      running.stderr += chunk;
    });
    if (!wire) {
      child.stdout!.on("data", (chunk) => {
        running.stdout += chunk;
      });
    }
    this.#running.add(running);
    return running;
  }

  /** Runs a program to its end and returns what it wrote to standard output; throws unless its exit status is 0. */
  async run(command: string, args: readonly string[] = [], options: RunOptions = {}): Promise<string> {
    const running = this.start(command, args, options);
    const status = await within(120_000, `${command} ${args.join(" ")}`, running.exit);
    if (status === 0) return running.stdout;
    throw new Error(`${command} ${args.join(" ")}: ${status}\n${running.stdout}${running.stderr}`);
  }

  async end(): Promise<void> {
    for (const running of [...this.#running]) {
      running.kill("SIGKILL");
      // A child of it that lives on may hold its output open, which would hold up "close".
      running.process.stdout?.destroy();
      running.process.stderr?.destroy();
      await running.exit.catch(() => {});
    }
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Debian packages of the programs that tests run. */
const packages: Readonly<Record<string, string>> = {
  blkdiscard: "util-linux",
  busybox: "busybox-static",
  chromium: "chromium",
  dd: "coreutils",
  debugfs: "e2fsprogs",
  dmsetup: "dmsetup",
  "firefox-esr": "firefox-esr",
  fio: "fio",
  fusermount3: "fuse3",
  genisoimage: "genisoimage",
  ip: "iproute2",
  isoinfo: "genisoimage",
  "linux.uml": "user-mode-linux",
  losetup: "mount",
  mdadm: "mdadm",
  "mkfs.ext2": "e2fsprogs",
  "mkfs.ext3": "e2fsprogs",
  "mkfs.ext4": "e2fsprogs",
  "mkfs.vfat": "dosfstools",
  modprobe: "kmod",
  "nbd-client": "nbd-client",
  "nbd-server": "nbd-server",
  nbdcopy: "libnbd-bin",
  nbdfuse: "libnbd-bin",
  nbdinfo: "libnbd-bin",
  nbdsh: "python3-libnbd",
  nbdkit: "nbdkit",
  nginx: "nginx",
  "qemu-img": "qemu-utils",
  "qemu-io": "qemu-utils",
  "qemu-nbd": "qemu-utils",
  "qemu-system-x86_64": "qemu-system-x86",
  script: "bsdutils",
  setpriv: "util-linux",
  setsid: "util-linux",
  sfdisk: "fdisk",
  socat: "socat",
  taskset: "util-linux",
  unshare: "util-linux",
  websocketd: "websocketd",
};

/** A test that needs these programs: skipped, with the packages' names in its own, where one is missing. */
export function needing<T>(tests: Test<T>, programs: readonly string[]): Test<T> {
  const missing = [
    ...new Set(programs.filter((name) => !isInstalled(name)).map((name) => packages[name] ?? name)),
  ];
  if (missing.length === 0) return tests;
  const skip = (name: string) => {
    process.stderr.write(`skipped: ${name}: needs the Debian packages ${missing.join(", ")}\n`);
    tests.skip(name);
  };
  return skip as unknown as Test<T>;
}

function isInstalled(name: string): boolean {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => isExecutable(join(folder, name)));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

export { suite };
