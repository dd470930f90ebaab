import * as v from "valibot";
import { groupNumber, type SocketPermissions, socketMode } from "../session/socket-permissions.ts";
import { PROXY_RULE, proxyAddress } from "./proxy-address.ts";

const path = v.pipe(v.string("must be a path"), v.regex(/^[^\0]+$/, "must be a path"));
const port = "must be 0 to 65535";
const host = "must be a host name or an IP address";
const proxies = `must be a list: ${PROXY_RULE}`;
const mode =
  'must be octal digits such as "0660": the user may always connect, perhaps a group, others never';

/** Keys of a unix socket. */
export const socketKeys = {
  "socket-mode": v.optional(
    v.pipe(
      v.string(mode),
      v.check((text) => socketMode(text) !== undefined, mode),
    ),
  ),
  "socket-group": v.optional(
    v.pipe(
      v.string("must be the name or the number of a group, as text"),
      v.check((text) => groupNumber(text) !== undefined, "must be the name or the number of a group"),
    ),
  ),
};

/** Keys for how the gateway is reached. Each has a flag of that name, which wins. */
export const gatewayKeys = {
  host: v.optional(v.pipe(v.string(host), v.regex(/^[^\s\0/]+$/, host))),
  port: v.optional(v.pipe(v.number(port), v.integer(port), v.minValue(0, port), v.maxValue(65535, port))),
  "tls-cert": v.optional(path),
  "tls-key": v.optional(path),
  "tls-self-signed": v.optional(v.boolean("must be true or false")),
  "behind-proxy": v.optional(
    v.array(
      v.pipe(
        v.string(proxies),
        v.check((text) => proxyAddress(text) !== undefined, proxies),
      ),
      proxies,
    ),
  ),
  ...socketKeys,
};

type SocketKeys = v.InferOutput<ReturnType<typeof v.object<typeof socketKeys>>>;

/** What a configuration file, or flags, say of how the gateway is reached. */
export type GatewayKeys = v.InferOutput<ReturnType<typeof v.object<typeof gatewayKeys>>>;

/** The keys for the gateway among those at the top of a file. */
export function gatewayKeysOf(top: GatewayKeys): GatewayKeys {
  const names = Object.keys(gatewayKeys) as (keyof GatewayKeys)[];
  return Object.fromEntries(names.map((name) => [name, top[name]])) as GatewayKeys;
}

/** Who may connect to a unix socket, by its keys; undefined where there are none. */
export function socketPermissionsOf(keys: SocketKeys): SocketPermissions | undefined {
  const { "socket-mode": mode, "socket-group": group } = keys;
  if (mode === undefined && group === undefined) return undefined;
  return {
    ...(mode !== undefined && { mode: socketMode(mode) }),
    ...(group !== undefined && { group: groupNumber(group) }),
  };
}
