import * as v from "valibot";
import { type GatewayKeys, gatewayKeys } from "../src/node/config/gateway-keys.ts";

/**
 * The flags that are keys of config.json too, judged as those are.
 * @returns those that were given
 * @throws Error that names the flag
 */
export function gatewayFlags(values: Readonly<Record<string, unknown>>): GatewayKeys {
  const given: Record<string, unknown> = {};
  for (const [name, schema] of Object.entries(gatewayKeys)) {
    const value = values[name];
    if (value === undefined) continue;
    const input = name === "port" && /^\d+$/.test(String(value)) ? Number(value) : value;
    const parsed = v.safeParse(schema, input);
    if (!parsed.success) {
      throw new Error(`--${name} ${parsed.issues[0].message}, not "${[value].flat().join('" "')}"`);
    }
    given[name] = parsed.output;
  }
  return given;
}
