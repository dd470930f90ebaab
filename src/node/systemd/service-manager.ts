import { oneLine } from "../../nbd/one-line.ts";
import { messageOf } from "../../streams/message-of.ts";
import { type NotifySocket, notifySocket } from "./notify-socket.ts";
import { feedWatchdog, watchdogTime } from "./watchdog.ts";

/** Who has started this process as a service, and wants to know how it is. Nothing here fails. */
export interface ServiceManager {
  /** It serves. @param status one line for people, which must have no secret in it */
  ready(status: string): Promise<void>;
  /** It reads its configuration again, until it says that it is ready. */
  reloading(): Promise<void>;
  /** It ends, which may take a while. */
  stopping(status: string): Promise<void>;
  /** Nothing more is told, signs of life neither. */
  close(): void;
}

const NOBODY: ServiceManager = {
  ready: async () => {},
  reloading: async () => {},
  stopping: async () => {},
  close: () => {},
};

/**
 * The service manager, as the environment names it (sd_notify(3)); signs of life begin at once. What names it is taken out of
 * the environment: programs that are run have nothing to say to it.
 *
 * @param log takes a line when there is a manager and it cannot be told anything
 */
export async function serviceManager(
  log: (line: string) => void,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ServiceManager> {
  const name = env.NOTIFY_SOCKET;
  const time = watchdogTime(env);
  for (const variable of ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"]) delete env[variable];
  if (!name) return NOBODY;
  let socket: NotifySocket;
  try {
    socket = await notifySocket(name, log);
  } catch (error) {
    log(
      `the service manager cannot be told that this runs: NOTIFY_SOCKET is "${name}": ${messageOf(error)}; Type=exec in the unit does without`,
    );
    return NOBODY;
  }
  const starve = time === undefined ? () => {} : feedWatchdog(time, () => socket.send("WATCHDOG=1"));
  let isStopping = false;
  const unlessStopping = async (...assignments: readonly string[]) => {
    if (!isStopping) await socket.send(...assignments);
  };
  return {
    ready: (status) => unlessStopping("READY=1", `STATUS=${oneLine(status)}`),
    // Both clocks are CLOCK_MONOTONIC.
    reloading: () => unlessStopping("RELOADING=1", `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`),
    stopping: (status) => {
      isStopping = true;
      return socket.send("STOPPING=1", `STATUS=${oneLine(status)}`);
    },
    close() {
      starve();
      socket.close();
    },
  };
}
