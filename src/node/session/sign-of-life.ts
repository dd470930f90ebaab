import type { RemoteExport } from "../../nbd/client/remote-export.ts";
import { firstSector } from "./first-sector.ts";

/**
 * Sees to it that something is said on a link at least every so often: reverse proxies and relays cut connections on which
 * nothing moves, and a client of NBD has no way to speak but a request. It is a READ of the first sector past all filters,
 * so it is neither counted nor kept. That it is answered, with whatever, is enough.
 *
 * @param seconds the longest silence
 * @returns what ends it
 */
export function signOfLife(
  remote: Pick<RemoteExport, "read" | "requests" | "size">,
  seconds: number,
): () => void {
  let seen = remote.requests;
  let looksSince = 0;
  let isDue = false;

  function look() {
    if (remote.requests !== seen) looksSince = 0;
    else looksSince++;
    // The last request was sent at least one look ago, and at most two.
    if (looksSince > 0 && !isDue) {
      isDue = true;
      const done = () => {
        isDue = false;
      };
      firstSector(remote).then(done, done);
      looksSince = -1;
    }
    seen = remote.requests;
  }

  const timer = setInterval(look, (seconds * 1000) / 2);
  return () => clearInterval(timer);
}
