/** Tests that need programs of Debian packages. */
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Test } from "uvu";

/** Debian packages of the programs that tests run. */
const packages: Readonly<Record<string, string>> = {
  bash: "bash",
  blkdiscard: "util-linux",
  busybox: "busybox-static",
  caddy: "caddy",
  chromium: "chromium",
  dd: "coreutils",
  debugfs: "e2fsprogs",
  dmsetup: "dmsetup",
  "firefox-esr": "firefox-esr",
  fio: "fio",
  fusermount3: "fuse3",
  genisoimage: "genisoimage",
  "grub-mkrescue": "grub-common and grub-pc-bin",
  ip: "iproute2",
  isoinfo: "genisoimage",
  "linux.uml": "user-mode-linux",
  jq: "jq",
  losetup: "mount",
  mdadm: "mdadm",
  mformat: "mtools",
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
  openssl: "openssl",
  promtool: "prometheus",
  python3: "python3",
  "qemu-img": "qemu-utils",
  "qemu-io": "qemu-utils",
  "qemu-nbd": "qemu-utils",
  "qemu-system-x86_64": "qemu-system-x86",
  script: "bsdutils",
  setpriv: "util-linux",
  setsid: "util-linux",
  sfdisk: "fdisk",
  socat: "socat",
  "systemd-analyze": "systemd",
  "systemd-socket-activate": "systemd",
  taskset: "util-linux",
  unshare: "util-linux",
  WebKitWebDriver: "webkit2gtk-driver",
  websocketd: "websocketd",
  Xvfb: "xvfb",
  xorriso: "xorriso",
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

/** Whether a file can be run. */
export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
