import { type Config, ConfigError, type HeldSockets, readConfig } from "../src/node/config/config.ts";
import type { Log } from "../src/node/log/log.ts";
import { judgeStateHook } from "../src/node/session/state-hook.ts";

/**
 * Reads the configuration of a gateway, and judges all that it names before anything is opened. Oddities are logged.
 * @throws ConfigError, StateHookError
 */
export async function gatewayConfig(file: string | undefined, held: HeldSockets, log: Log): Promise<Config> {
  const config = await readConfig(file, undefined, held);
  if (config.configurations.size === 0) throw new ConfigError(`${config.file}: "configurations" is empty`);
  for (const configuration of config.configurations.values()) judgeStateHook(configuration);
  for (const warning of config.warnings) log(warning, "warning");
  return config;
}

/** The names of sockets that no configuration has. */
export function namesWithout({ configurations }: Config, held: HeldSockets): string[] {
  return [...held.keys()].filter((name) => !configurations.has(name));
}
