import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";

/**
 * Where programs of this user keep what outlives them: in the folder that systemd makes (`StateDirectory=`), else for root in
 * /var/lib/nbd-proxy, else where the user's programs keep such files.
 */
export function stateFolder(
  env: NodeJS.ProcessEnv = process.env,
  user: number | undefined = process.geteuid?.(),
): string {
  const [state] = (env.STATE_DIRECTORY ?? "").split(":"); // it may name several
  if (state && isAbsolute(state)) return state;
  // HOME may be another user's, as with sudo.
  if (user === 0) return "/var/lib/nbd-proxy";
  const { XDG_STATE_HOME } = env;
  const home =
    XDG_STATE_HOME && isAbsolute(XDG_STATE_HOME) ? XDG_STATE_HOME : join(homedir(), ".local/state");
  return join(home, "nbd-proxy");
}
