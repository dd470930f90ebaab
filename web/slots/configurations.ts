import { PATIENCE, wantsLogin } from "../login/answer.ts";

/** A configuration that the other machine offers. */
export interface OfferedConfiguration {
  /** The name, as it stands in the URL; "" is the default one. */
  name: string;
  label: string;
  isDefault: boolean;
  /** Where its disk is on the other machine, such as `/dev/nbd0`; undefined if that is not known. */
  place?: string | undefined;
}

/** What a relay offers, which runs nbd-proxy with one configuration. */
const ONLY: OfferedConfiguration = { name: "", label: "Default", isDefault: true };

/**
 * Asks the gateway that this page came from for its configurations.
 * @param headers what the request needs to be let in
 * @returns undefined if the gateway wants a login first
 */
export async function loadConfigurations(
  headers: Record<string, string>,
): Promise<OfferedConfiguration[] | undefined> {
  try {
    // A relative path: a proxy may have put the gateway below a path.
    const response = await fetch("metadata", {
      headers,
      redirect: "manual",
      signal: AbortSignal.timeout(PATIENCE),
    });
    if (wantsLogin(response)) return undefined;
    if (!response.ok) return [ONLY];
    const metadata = (await response.json()) as Record<string, { description?: unknown } | null>;
    const defaultName = decodeURIComponent(response.headers.get("Default-Configuration") ?? "");
    const places = placesIn(response.headers.get("Places") ?? "");
    return Object.entries(metadata).map(([name, about]) => {
      const isDefault = name === defaultName;
      const description = about?.description ? `${name}: ${about.description}` : name;
      const label = isDefault ? `${description} (default)` : description;
      return { name, label, isDefault, place: places.get(name) };
    });
  } catch {
    return [ONLY];
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
