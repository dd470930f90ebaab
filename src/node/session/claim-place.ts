import { formatAddress } from "../config/address.ts";
import { ConfigError, type Configuration } from "../config/config.ts";
import { listenerPlace } from "./listener-place.ts";
import type { Place } from "./place.ts";
import { claimSocketFolder } from "./socket-folder.ts";

/**
 * Takes the place that a configuration names. Nothing is opened yet.
 * @throws ConfigError when it is not there, or somebody else has it
 */
export async function claimPlace(configuration: Configuration): Promise<Place> {
  const { file, name, target } = configuration;
  const [key, where] =
    "listen" in target ? ["listen", `${formatAddress(target.listen)}: `] : ["nbd-device", ""];
  try {
    if ("listen" in target) {
      if ("path" in target.listen) claimSocketFolder(target.listen.path);
      return listenerPlace(name, target.listen);
    }
    // Loaded only when it is used: what needs no kernel device needs nothing of what this needs.
    const { devicePlace } = await import("./device-place.ts");
    return await devicePlace(configuration, target);
  } catch (error) {
    throw new ConfigError(`${file}: configuration "${name}": "${key}": ${where}${(error as Error).message}`);
  }
}
