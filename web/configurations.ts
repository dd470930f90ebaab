/** A configuration that the other machine offers. */
export interface OfferedConfiguration {
  /** The name, as it stands in the URL; "" is the default one. */
  name: string;
  label: string;
  isDefault: boolean;
  /** Where its disk is on the other machine, as `/dev/nbd0`; undefined where that is not told. */
  place?: string | undefined;
}

/** A relay that runs nbd-proxy with one configuration knows of no others. */
const ONLY: OfferedConfiguration = { name: "", label: "Default", isDefault: true };

/** Milliseconds that the answer may take. */
const PATIENCE = 5000;

/** Asks the gateway that this page came from for its configurations. */
export async function loadConfigurations(): Promise<OfferedConfiguration[]> {
  try {
    // Without a slash before it: a proxy may have put the gateway under a path of its own.
    const response = await fetch("metadata", { signal: AbortSignal.timeout(PATIENCE) });
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

/** Reads a header of `name=place` pairs with commas between them, each side percent-encoded; one that is not so tells nothing. */
function placesIn(header: string): Map<string, string> {
  try {
    const pairs = header.split(",").map((pair) => pair.trim().split("=").map(decodeURIComponent));
    return new Map(pairs.map(([name = "", place = ""]) => [name, place]));
  } catch {
    return new Map();
  }
}
