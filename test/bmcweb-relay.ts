/** OpenBMC's web server, as far as nbd-proxy can tell: see bmcweb-relay.py. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { program, type Running, root, type Sandbox, until } from "./harness.ts";

/** Bytes of the buffer that it has for each way. */
export const RELAY_BUFFER = 4 * ((128 << 10) + 16);

/** What it tells of a session that has ended. */
export interface RelayedSession {
  /** Why its WebSocket has ended. */
  reason: string;
  /** The exit status of nbd-proxy, and how many seconds it took after SIGTERM. */
  status: number;
  seconds: number;
  /** The most bytes that were pending for nbd-proxy. */
  most: number;
  /** The same with those that are in the pipe. */
  underway: number;
  /** Messages that did not fit. */
  overruns: number;
  /** How often what was pending was moved while a write waited, and how often such a write wrote other bytes than it should. */
  moved: number;
  spoiled: number;
  /** How often a write had to wait, since the pipe was full. */
  waited: number;
  /** Bytes to nbd-proxy, and from it. */
  in: number;
  out: number;
}

export interface BmcwebRelayOptions {
  /** Bytes of the longest message that it takes. Default: any. */
  maxMessage?: number;
  /** Seconds of silence after which it drops a WebSocket. Default: never. */
  idle?: number;
  /** Bytes of the pipe to nbd-proxy. Default: as the system makes it. */
  pipe?: number;
  /** The script of nbd-proxy. Default: the one that was built. */
  proxy?: string;
  /** What it starts, with the argument "0". Default: `proxy` with the configuration file. */
  program?: string;
  /** In front of its own command line, as another mount namespace. */
  under?: readonly string[];
}

export interface BmcwebRelay extends Running {
  /** Where its WebSocket is. */
  readonly endpoint: string;
  /** The sessions that have ended. */
  sessions(): RelayedSession[];
  /** The process of nbd-proxy that was started last. */
  proxyPid(): number;
  /** Waits for the end of the next session. */
  ended(): Promise<RelayedSession>;
  /** What nbd-proxy wrote to standard error. The real one throws it away. */
  readonly stderrFile: string;
}

/** Starts it. nbd-proxy has the configuration file `config`, whose configuration is called "0". */
export async function startBmcwebRelay(
  sandbox: Sandbox,
  config: string,
  {
    maxMessage,
    idle,
    pipe,
    proxy = program("nbd-proxy"),
    program: started,
    under = [],
  }: BmcwebRelayOptions = {},
): Promise<BmcwebRelay> {
  const stderrFile = sandbox.path("nbd-proxy.stderr");
  writeFileSync(stderrFile, "");
  const options = Object.entries({ "--max-message": maxMessage, "--idle": idle, "--pipe": pipe });
  const [command, ...args] = [
    ...[...under, "/usr/bin/python3", join(root, "test/bmcweb-relay.py")],
    started ?? writeProxy(sandbox, proxy, config),
    ...options.flatMap(([name, value]) => (value === undefined ? [] : [name, `${value}`])),
    ...["--stderr", stderrFile],
  ] as [string, ...string[]];
  const running = sandbox.start(command, args);
  await until("the relay listens", () => running.stdout.includes("\n"));
  const lines = () => running.stdout.split("\n").slice(0, -1);
  const { port } = JSON.parse(lines()[0]!) as { port: number };
  const told = () => lines().map((line) => JSON.parse(line) as { pid?: number } & RelayedSession);
  const sessions = () => told().filter((line) => line.reason !== undefined);
  let taken = 0;
  return Object.assign(running, {
    endpoint: `ws://127.0.0.1:${port}/vm/0/0`,
    stderrFile,
    sessions,
    proxyPid: () =>
      told()
        .flatMap(({ pid }) => pid ?? [])
        .at(-1)!,
    async ended() {
      await until("the session is over", () => sessions().length > taken, 60_000);
      return sessions()[taken++]!;
    },
  });
}

/** A program that takes the argument that the relay has for it, and nothing else. */
function writeProxy(sandbox: Sandbox, proxy: string, config: string): string {
  const file = sandbox.path("nbd-proxy-here");
  const command = `exec ${process.execPath} ${proxy} --config ${config} "$@"`;
  writeFileSync(file, `#!/bin/sh\n${command}\n`, { mode: 0o755 });
  return file;
}
