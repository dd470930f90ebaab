import type { Export } from "../../export/export.ts";
import type { ByteBudget } from "../../streams/budget.ts";
import { type Address, formatAddress } from "../config/address.ts";
import { ConfigError, type Configuration } from "../config/config.ts";
import { listen } from "./listen.ts";

/** An export in use on this machine: what its users see, whatever link it comes over. */
export interface Attachment {
  /** Where it is found, for people. */
  readonly where: string;
  /** Takes the export away from its users: requests that are outstanding are answered first. */
  detach(): Promise<void>;
}

/**
 * The address that a configuration listens on.
 * @throws ConfigError when it asks for something else
 */
function addressOf({ file, name, target }: Configuration): Address {
  if ("listen" in target) return target.listen;
  throw new ConfigError(
    `${file}: configuration "${name}": "nbd-device" is not supported yet; use "listen" and attach with nbd-client or nbdfuse`,
  );
}

/**
 * Says whether a configuration can be used at all, before anything is opened.
 * @throws ConfigError
 */
export function checkTarget(configuration: Configuration): void {
  addressOf(configuration);
}

/**
 * Puts an export to the use that a configuration asks for. Whatever link the export comes over is not its concern.
 * @param name the export's name, for those who use it
 * @throws Error when that is not possible, with what to do
 */
export async function attach(
  target: Export,
  name: string,
  configuration: Configuration,
  budget: ByteBudget,
): Promise<Attachment> {
  const address = addressOf(configuration);
  try {
    const listener = await listen(target, address, { budget, name });
    return { where: formatAddress(listener.address), detach: () => listener.close() };
  } catch (error) {
    const where = formatAddress(address);
    throw new Error(
      `configuration "${configuration.name}": listening on ${where}: ${(error as Error).message}`,
    );
  }
}
