/** A configuration that the other machine offers. */
export interface OfferedConfiguration {
  /** The name, as it stands in the URL; "" is the default one. */
  name: string;
  label: string;
}

const DEFAULT: OfferedConfiguration = { name: "", label: "Default" };

/** Asks the gateway for its configurations. A relay that runs nbd-proxy with one knows of none: that is the default. */
export async function loadConfigurations(): Promise<OfferedConfiguration[]> {
  try {
    const response = await fetch("/metadata");
    if (!response.ok) return [DEFAULT];
    const metadata = (await response.json()) as Record<string, { description?: unknown } | null>;
    const offered = Object.entries(metadata).map(([name, about]) => ({
      name,
      label: about?.description ? `${name}: ${about.description}` : name,
    }));
    return [DEFAULT, ...offered];
  } catch {
    return [DEFAULT];
  }
}
