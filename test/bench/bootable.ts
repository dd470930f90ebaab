/** Images of CDs that a PC boots, until user space says a line on the serial console. */
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import type { Sandbox } from "../harness.ts";

export interface Bootable {
  name: string;
  /** What it has, for people. */
  what: string;
  iso: string;
  /** The first line of user space. */
  line: RegExp;
}

const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "nbd-proxy");

/** Debian's kernel, as .ci/unpack-linux leaves it, and an initramfs of busybox. */
export function busyboxCd(sandbox: Sandbox): Bootable {
  const linux = unpacked("linux-amd64");
  const version = readdirSync(join(linux, "lib/modules"))[0]!;
  const folder = sandbox.path("initramfs");
  mkdirSync(join(folder, "bin"), { recursive: true });
  copyFileSync("/bin/busybox", join(folder, "bin/busybox"));
  writeFileSync(
    join(folder, "init"),
    "#!/bin/busybox sh\n/bin/busybox echo this is user space\n/bin/busybox poweroff -f\n",
    { mode: 0o755 },
  );
  const initrd = sandbox.path("initrd.gz");
  execFileSync("sh", ["-c", `find . | busybox cpio -o -H newc 2> /dev/null | gzip > ${initrd}`], {
    cwd: folder,
  });
  const kernel = join(linux, `boot/vmlinuz-${version}`);
  return {
    name: "busybox",
    what: "GRUB, Debian's kernel and an initramfs of busybox, by grub-mkrescue",
    iso: bootableCd(sandbox, "busybox", kernel, initrd),
    line: /this is user space/,
  };
}

/** Debian's installer, as .ci/unpack-installer leaves it. */
export function installerCd(sandbox: Sandbox): Bootable {
  const folder = unpacked("installer-amd64");
  const iso = bootableCd(sandbox, "installer", join(folder, "linux"), join(folder, "initrd.gz"));
  return {
    name: "installer",
    what: "GRUB, and kernel and initrd of Debian 12's installer, by grub-mkrescue",
    iso,
    line: /syslogd/,
  };
}

function unpacked(name: string): string {
  const folder = join(cache, name);
  if (existsSync(folder)) return folder;
  throw new Error(`${folder} is missing: run .ci/unpack-${name.replace("-amd64", "")}`);
}

function bootableCd(sandbox: Sandbox, name: string, kernel: string, initrd: string): string {
  const folder = sandbox.path(`${name}-cd`);
  mkdirSync(join(folder, "boot/grub"), { recursive: true });
  copyFileSync(kernel, join(folder, "boot/linux"));
  copyFileSync(initrd, join(folder, "boot/initrd.gz"));
  writeFileSync(
    join(folder, "boot/grub/grub.cfg"),
    `serial --unit=0 --speed=115200
terminal_input serial
terminal_output serial
linux /boot/linux console=ttyS0 panic=-1
initrd /boot/initrd.gz
boot
`,
  );
  const iso = sandbox.path(`${name}.iso`);
  execFileSync("grub-mkrescue", ["-o", iso, folder], { stdio: ["ignore", "ignore", "pipe"] });
  return iso;
}
