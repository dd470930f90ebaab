import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import type { Sandbox } from "../../harness.ts";
import type { Machine } from "./machine.ts";

/** What QEMU emulates. */
const PROCESSORS = 2;

/** What the kernel needs before it has a root: this machine's files, by 9p. */
const ROOT_MODULES = ["virtio_pci", "9pnet_virtio", "9p"];

/** Debian's kernel, as .ci/unpack-linux leaves it. */
const linux = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "nbd-proxy/linux-amd64");
const modules = join(linux, "lib/modules");

export const isLinuxUnpacked = () => existsSync(linux);

/** A PC with two processors, emulated by QEMU: Debian's own kernel, an order of magnitude slower than this machine. */
export const emulator: Machine = {
  modules,
  boot(sandbox, init, memory) {
    const version = readdirSync(modules)[0]!;
    return sandbox.start("qemu-system-x86_64", [
      ...["-accel", "tcg", "-smp", `${PROCESSORS}`, "-m", `${memory}`],
      ...["-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot"],
      ...["-kernel", join(linux, `boot/vmlinuz-${version}`), "-initrd", initramfs(sandbox, version, init)],
      // Where this machine has other things to do, that is no lockup, and the timer works all the same.
      ...["-append", "console=ttyS0 quiet panic=-1 mitigations=off nowatchdog no_timer_check"],
      ...["-virtfs", "local,path=/,mount_tag=root,security_model=none,multidevs=remap"],
    ]);
  },
};

/** Makes the file system that the kernel starts with, which leads to this machine's files and to `init` there. */
function initramfs(sandbox: Sandbox, version: string, init: string): string {
  const folder = sandbox.path("initramfs");
  for (const name of ["bin", "modules", "root"]) mkdirSync(join(folder, name), { recursive: true });
  copyFileSync("/bin/busybox", join(folder, "bin/busybox"));
  const insmod = filesOf(version).map((file) => {
    copyFileSync(file, join(folder, "modules", basename(file)));
    return `$busybox insmod /modules/${basename(file)}`;
  });
  writeFileSync(
    join(folder, "init"),
    `#!/bin/busybox sh
busybox=/bin/busybox
${insmod.join("\n")}
$busybox mount -t 9p -o trans=virtio,version=9p2000.L,msize=1048576,cache=loose root /root
$busybox mount -t devtmpfs dev /root/dev
exec $busybox switch_root /root ${init}
`,
    { mode: 0o755 },
  );
  const archive = sandbox.path("initramfs.cpio");
  execFileSync("sh", ["-c", `find . | busybox cpio -o -H newc > ${archive}`], {
    cwd: folder,
    stdio: "ignore",
  });
  return archive;
}

/** The files of the modules that make the root, in the order in which they are needed. */
function filesOf(version: string): string[] {
  const files = ROOT_MODULES.flatMap((name) => {
    const args = ["--dirname", linux, "--set-version", version, "--show-depends", name];
    const lines = execFileSync("/sbin/modprobe", args, { encoding: "utf8" });
    return [...lines.matchAll(/^insmod (\S+)/gm)].map(([, file]) => file!);
  });
  return [...new Set(files)];
}
