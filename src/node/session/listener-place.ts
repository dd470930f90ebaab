import { type Address, formatAddress } from "../config/address.ts";
import { listen } from "./listen.ts";
import type { Place } from "./place.ts";

/** A socket for local NBD clients, as a place for an export. Whether it is free shows when it is bound. */
export function listenerPlace(name: string, address: Address, maxClients: number): Place {
  return {
    release() {},
    async attach(target, { budget, exportName, log }) {
      try {
        const listener = await listen(target, address, { budget, name: exportName, maxClients, log });
        return { where: formatAddress(listener.address), detach: () => listener.close() };
      } catch (error) {
        const where = formatAddress(address);
        throw new Error(`configuration "${name}": listening on ${where}: ${(error as Error).message}`);
      }
    },
  };
}
