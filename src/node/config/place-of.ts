import { formatAddress } from "./address.ts";
import type { Configuration } from "./config.ts";

/** Where an export is found once it is there, for people: "/dev/nbd0", "unix:/run/nbd-proxy/nbd.sock", "tcp:[::1]:10809". */
export function placeOf({ target }: Pick<Configuration, "target">): string {
  return "listen" in target ? formatAddress(target.listen) : target.nbdDevice;
}
