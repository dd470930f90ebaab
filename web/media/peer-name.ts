import type { RemoteStatus } from "./remote-status.ts";

/** Who is at the other side of a session, in short: an address, or the host that the gateway fetches from by itself. */
export function peerName({
  address,
  source,
}: NonNullable<RemoteStatus["session"]>["peer"]): string | undefined {
  if (source && URL.canParse(source)) return new URL(source).host;
  return address ?? undefined;
}
