import { withWordsForOthers } from "../../streams/for-others.ts";
import { messageOf } from "../../streams/message-of.ts";
import { formatAddress } from "../config/address.ts";
import { ConfigError, type Configuration } from "../config/config.ts";
import { listenerPlace } from "./listener-place.ts";
import type { Place, Places } from "./place.ts";
import { claimSocketFolder } from "./socket-folder.ts";

/** The places of this machine. */
export const places: Places = { look, claim };

async function look(configuration: Configuration): Promise<void> {
  await (await claim(configuration)).release();
}

/** @throws ConfigError whatever is wrong, with the key that says so */
async function claim(configuration: Configuration): Promise<Place> {
  const { file, name, target } = configuration;
  const [key, where] =
    "listen" in target ? ["listen", `${formatAddress(target.listen)}: `] : ["nbd-device", ""];
  try {
    if ("listen" in target) {
      if ("path" in target.listen && !target.held) claimSocketFolder(target.listen.path);
      return await listenerPlace(name, target);
    }
    // Loaded only when it is used: what needs no kernel device needs nothing of what this needs.
    const { devicePlace } = await import("./device-place.ts");
    return await devicePlace(configuration, target);
  } catch (error) {
    const message = `${file}: configuration "${name}": "${key}": ${where}${messageOf(error)}`;
    throw withWordsForOthers(new ConfigError(message), NO_PLACE);
  }
}

const NO_PLACE = "the other machine has no place for the disk; its log says why";
