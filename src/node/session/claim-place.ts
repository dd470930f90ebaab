import { ConfigError, type Configuration } from "../config/config.ts";
import { UntrustedPathError } from "../trusted-path.ts";
import { listenerPlace } from "./listener-place.ts";
import type { Place } from "./place.ts";
import { claimSocketFolder } from "./socket-folder.ts";

/**
 * Takes the place that a configuration names. Nothing is opened yet.
 * @throws ConfigError when it is not there, or somebody else has it
 */
export async function claimPlace(configuration: Configuration): Promise<Place> {
  const { file, name, target } = configuration;
  if ("listen" in target) {
    if ("path" in target.listen) claimFolder(configuration, target.listen.path);
    return listenerPlace(name, target.listen);
  }
  try {
    // Loaded only when it is used: what needs no kernel device needs nothing of what this needs.
    const { devicePlace } = await import("./device-place.ts");
    return await devicePlace(configuration, target);
  } catch (error) {
    throw new ConfigError(`${file}: configuration "${name}": "nbd-device": ${(error as Error).message}`);
  }
}

/** What else is wrong with the folder shows, in words, when the socket is bound. */
function claimFolder({ file, name }: Configuration, path: string): void {
  try {
    claimSocketFolder(path);
  } catch (error) {
    if (error instanceof UntrustedPathError)
      throw new ConfigError(`${file}: configuration "${name}": "listen": ${error.message}`);
  }
}
