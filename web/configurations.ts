/** A configuration that the other machine offers. */
export interface OfferedConfiguration {
  /** The name, as it stands in the URL; "" is the default one. */
  name: string;
  label: string;
  isDefault: boolean;
}

/** A relay that runs nbd-proxy with one configuration knows of no others. */
const ONLY: OfferedConfiguration = { name: "", label: "Default", isDefault: true };

/** Asks the gateway for its configurations. */
export async function loadConfigurations(): Promise<OfferedConfiguration[]> {
  try {
    const response = await fetch("/metadata");
    if (!response.ok) return [ONLY];
    const metadata = (await response.json()) as Record<string, { description?: unknown } | null>;
    const defaultName = decodeURIComponent(response.headers.get("Default-Configuration") ?? "");
    return Object.entries(metadata).map(([name, about]) => {
      const isDefault = name === defaultName;
      const description = about?.description ? `${name}: ${about.description}` : name;
      return { name, label: isDefault ? `${description} (default)` : description, isDefault };
    });
  } catch {
    return [ONLY];
  }
}
