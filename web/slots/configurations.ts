import { PATIENCE, wantsLogin } from "../login/answer.ts";

/** A configuration that the other machine offers. */
export interface OfferedConfiguration {
  /** The name, as it stands in the URL; "" is the default one. */
  name: string;
  /** What the configuration file says of it; "" if that is nothing. */
  description: string;
  isDefault: boolean;
  /** Where its disk is on the other machine, such as `/dev/nbd0`; undefined if that is not known. */
  place?: string | undefined;
}

/** What a relay offers, which runs nbd-proxy with one configuration. */
const ONLY: OfferedConfiguration = { name: "", description: "", isDefault: true };

/**
 * Asks the gateway that this page came from for its configurations.
 * @param headers what the request needs to be let in
 * @param known what is returned if it does not answer now, or never: a relay offers one
 * @returns undefined if the gateway wants a login first
 */
export async function loadConfigurations(
  headers: Record<string, string>,
  known: readonly OfferedConfiguration[],
): Promise<readonly OfferedConfiguration[] | undefined> {
  const otherwise = known.length > 0 ? known : [ONLY];
  try {
    // A relative path: a proxy may have put the gateway below a path.
    const response = await fetch("metadata", {
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (wantsLogin(response)) return undefined;
    if (!response.ok) return otherwise;
    const metadata = (await response.json()) as Record<string, { description?: unknown } | null>;
    const defaultName = decodeURIComponent(response.headers.get("Default-Configuration") ?? "");
    const places = placesIn(response.headers.get("Places") ?? "");
    return Object.entries(metadata).map(([name, about]) => {
      const description = String(about?.description ?? "");
      return { name, description, isDefault: name === defaultName, place: places.get(name) };
    });
  } catch {
    return otherwise;
  }
}

/** Reads a header of comma-separated `name=place` pairs, each side percent-encoded. A malformed one gives no places. */
function placesIn(header: string): Map<string, string> {
  try {
    const pairs = header.split(",").map((pair) => pair.trim().split("=").map(decodeURIComponent));
    return new Map(pairs.map(([name = "", place = ""]) => [name, place]));
  } catch {
    return new Map();
  }
}
