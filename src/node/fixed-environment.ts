import { userInfo } from "node:os";

/** Where the programs that are run look for others. */
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/**
 * The whole environment of each program that is run. Ours is not handed on: a relay fills it with what the other side
 * sent (`Proxy:` becomes HTTP_PROXY), PATH and others decide what a program does, and there may be secrets in it.
 */
export function fixedEnvironment(): Record<string, string> {
  return { PATH, HOME: homeFolder(), LANG: "C.UTF-8" };
}

/** Of the user that this process runs as, whatever HOME says. */
function homeFolder(): string {
  try {
    return userInfo().homedir || "/";
  } catch {
    // A user without an entry in the system's list, as in containers.
    return "/";
  }
}
