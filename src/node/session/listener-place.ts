import { messageOf } from "../../streams/message-of.ts";
import { formatAddress } from "../config/address.ts";
import type { ListenTarget } from "../config/config.ts";
import { claimAddress } from "./bind.ts";
import { listenAt } from "./listen.ts";
import type { Place } from "./place.ts";

/**
 * A socket for local NBD clients, as a place for an export. Clients are let in when there is one.
 * @throws Error when the address is in use, or cannot be had
 */
export async function listenerPlace(name: string, target: ListenTarget): Promise<Place> {
  const { listen: address, maxClients, socketPermissions, held } = target;
  const claimed = held ? held.claim() : await claimAddress(address, socketPermissions);
  return {
    release: () => claimed.close(),
    async attach(exported, { budget, exportName, log }) {
      try {
        const listener = await listenAt(claimed, exported, { budget, name: exportName, maxClients, log });
        return { where: formatAddress(listener.address), detach: () => listener.close() };
      } catch (error) {
        const where = formatAddress(address);
        throw new Error(`configuration "${name}": listening on ${where}: ${messageOf(error)}`);
      }
    },
  };
}
