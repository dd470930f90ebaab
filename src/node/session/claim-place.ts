import { ConfigError, type Configuration } from "../config/config.ts";
import { listenerPlace } from "./listener-place.ts";
import type { Place } from "./place.ts";

/**
 * Takes the place that a configuration names. Nothing is opened yet.
 * @throws ConfigError when it is not there, or somebody else has it
 */
export async function claimPlace(configuration: Configuration): Promise<Place> {
  const { file, name, target } = configuration;
  if ("listen" in target) return listenerPlace(name, target.listen, target.maxClients);
  try {
    // Loaded only when it is used: what needs no kernel device needs nothing of what this needs.
    const { devicePlace } = await import("./device-place.ts");
    return await devicePlace(configuration, target);
  } catch (error) {
    throw new ConfigError(`${file}: configuration "${name}": "nbd-device": ${(error as Error).message}`);
  }
}
