import { lstatSync, type Stats } from "node:fs";
import { resolve } from "node:path";

/**
 * The folder of sockets whose configuration gives a name only. Where the service manager made one for us, it is that one
 * (`RuntimeDirectory=`, systemd.exec(5)); else /run/nbd-proxy for root, nbd-proxy in the user's own /run/user/UID, and
 * where there is none /tmp/nbd-proxy-UID. No other user can make a socket there before us. It need not be there yet.
 *
 * XDG_RUNTIME_DIR is not asked: under sudo or su it may be somebody else's.
 */
export function runtimeFolder(): string {
  const given = process.env.RUNTIME_DIRECTORY?.split(":")[0];
  if (given?.startsWith("/")) return resolve(given);
  const user = process.geteuid?.();
  if (user === 0 && isFolder("/run")) return "/run/nbd-proxy";
  if (user !== 0 && isFolder(`/run/user/${user}`, (stats) => stats.uid === user && isPrivate(stats)))
    return `/run/user/${user}/nbd-proxy`;
  return temporaryFolder();
}

/** The folder of sockets in /tmp, where anybody could have made it. */
export function temporaryFolder(): string {
  return `/tmp/nbd-proxy-${process.geteuid?.()}`;
}

/** Whether a folder is of no use to anybody but its owner, root aside. */
export function isPrivate({ mode }: Stats): boolean {
  return (mode & 0o077) === 0;
}

function isFolder(path: string, suits: (stats: Stats) => boolean = () => true): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && suits(stats);
}
