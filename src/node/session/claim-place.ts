import { withWordsForOthers } from "../../streams/for-others.ts";
import { formatAddress } from "../config/address.ts";
import { ConfigError, type Configuration } from "../config/config.ts";
import { listenerPlace } from "./listener-place.ts";
import type { Place } from "./place.ts";

/**
 * Claims the place that a configuration names: all that can go wrong with it, and can be known, is known before anybody is
 * asked for an export to put there.
 * @throws ConfigError when it is not there, cannot be had, or somebody else has it
 */
export async function claimPlace(configuration: Configuration): Promise<Place> {
  const { file, name, target } = configuration;
  const [key, where] =
    "listen" in target ? ["listen", `${formatAddress(target.listen)}: `] : ["nbd-device", ""];
  try {
    if ("listen" in target) return await listenerPlace(name, target.listen);
    // Loaded only when it is used: what needs no kernel device needs nothing of what this needs.
    const { devicePlace } = await import("./device-place.ts");
    return await devicePlace(configuration, target);
  } catch (error) {
    const message = `${file}: configuration "${name}": "${key}": ${where}${(error as Error).message}`;
    throw withWordsForOthers(new ConfigError(message), NO_PLACE);
  }
}

const NO_PLACE = "the other machine has no place for the disk; its log says why";
