import { promises as dns, type LookupAddress } from "node:dns";
import { isIP, type LookupFunction } from "node:net";
import { isLoopback } from "../loopback.ts";
import type { AllowedSource } from "./allowed-source.ts";
import { isHostAddress, isPublicAddress, isWithin } from "./public-address.ts";
import { SourceError } from "./source-error.ts";

/** Finds the addresses of a host name. */
export type Resolve = (name: string) => Promise<readonly string[]>;

/** As the system does it. */
export const systemResolve: Resolve = async (name) =>
  (await dns.lookup(name, { all: true })).map(({ address }) => address);

/**
 * A `lookup` for Node's sockets, which connect to what it gives and look nothing up themselves: so no second answer of a name
 * server counts. If one address of several may not be connected to, none is.
 */
export function checkedLookup({ url, addresses }: AllowedSource, resolve: Resolve): LookupFunction {
  return (name, { all }, done) => {
    const give = (found: LookupAddress[]) => {
      if (all) done(null, found);
      else done(null, found[0]!.address, found[0]!.family);
    };
    const find = async () => {
      const found = await resolve(name);
      if (found.length === 0) throw new SourceError(url, "its host has no address");
      const foreign = found.find((address) => !mayConnect(name, address, addresses));
      if (foreign !== undefined) throw notPublic(url, foreign);
      return found.map((address) => ({ address, family: isIP(address) }));
    };
    find().then(give, (error) => done(error, []));
  };
}

function mayConnect(name: string, address: string, named: readonly string[]): boolean {
  if (isPublicAddress(address)) return true;
  // The name says which addresses it has (RFC 6761, section 6.3).
  if (name === "localhost" && isLoopback(address)) return true;
  return isHostAddress(address) && isWithin(address, named);
}

function notPublic(url: URL, address: string): SourceError {
  const why = "its host has an address that is not public";
  return new SourceError(
    url,
    why,
    `${why}, ${address}; if it is to be reached, name it in "addresses" beside that "url" of "sources"`,
  );
}
