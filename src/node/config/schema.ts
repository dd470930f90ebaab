import * as v from "valibot";
import { allowedHost } from "../host-rules.ts";
import { sourceKeys } from "../pull/sources.ts";
import { gatewayKeys, socketKeys } from "./gateway-keys.ts";
import { limitKeys } from "./limits.ts";
import { linkKeys } from "./link-keys.ts";
import { permissionKeys } from "./permissions.ts";
import { resumeKeys } from "./resume-keys.ts";
import { LONGEST_TIME, time, whole, yesOrNo } from "./values.ts";

const path = v.pipe(v.string("must be a path"), v.regex(/^[^\0]+$/, "must be a path"));

/** For valibot, as for JavaScript, an array is an object too. */
const isNoList = (input: unknown) => !Array.isArray(input);

/** Keys that have a meaning for a kernel device only. What is absent has a default where it is used. */
const device = {
  "block-size": v.optional(v.picklist([512, 1024, 2048, 4096], "must be 512, 1024, 2048 or 4096")),
  "read-ahead-kb": v.optional(whole(0, 1 << 20, "KiB")),
  "max-request-kb": v.optional(whole(4, 1 << 15, "KiB")),
  connections: v.optional(whole(1, 16, "sockets")),
};

/** How a kernel device is to be. */
export const deviceSettings = v.object(device);
export type DeviceSettings = v.InferOutput<typeof deviceSettings>;

/** Keys that stand at the top and may be set again for each configuration. */
const shared = {
  timeout: v.optional(time(0, LONGEST_TIME)),
  "state-hook": v.optional(path),
  "max-clients": v.optional(whole(1, 4096, "clients")),
  insecure: v.optional(yesOrNo),
  ...permissionKeys,
  ...resumeKeys,
  ...linkKeys,
  ...sourceKeys,
  ...device,
};

const configurationKeys = v.looseObject(
  {
    ...shared,
    "nbd-device": v.optional(path),
    listen: v.optional(v.string('must be "unix:PATH" or "tcp:HOST:PORT"')),
    ...socketKeys,
    default: v.optional(yesOrNo),
    metadata: v.optional(v.unknown()),
  },
  "must be an object",
);

/** The shape of one configuration. */
export const configuration = v.pipe(v.custom<object>(isNoList, "must be an object"), configurationKeys);
export type ConfigurationEntry = v.InferOutput<typeof configuration>;

/** Each is read by itself, as valibot's record leaves out "constructor" and other names. */
const configurations = v.pipe(
  v.custom<object>(isNoList, "must be an object of configurations"),
  v.looseObject({}, "must be an object of configurations"),
);

const notOneHost =
  'must be a host name alone, such as "console.example", without scheme, port, path, blanks or "*"';
const host = v.pipe(
  v.string("must be a host name"),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const name = allowedHost(dataset.value);
    if (name !== undefined) return name;
    addIssue({ message: notOneHost });
    return NEVER;
  }),
);

const origin = v.pipe(
  v.string("must be an origin"),
  v.rawTransform(({ dataset, addIssue, NEVER }) => {
    const { value } = dataset;
    if (/^https?:\/\/[^/?#@\s\\]+\/?$/i.test(value) && URL.canParse(value)) return new URL(value).origin;
    addIssue({ message: 'must be an origin such as "https://console.example", without path, blanks or "*"' });
    return NEVER;
  }),
);

const topKeys = v.looseObject(
  {
    ...shared,
    "memory-mb": v.optional(whole(16, 1 << 16, "MiB")),
    "allowed-origins": v.optional(v.array(origin, "must be a list of origins")),
    "token-file": v.optional(path),
    ...limitKeys,
    "allowed-hosts": v.optional(v.array(host, "must be a list of host names")),
    ...gatewayKeys,
    configurations,
  },
  (issue) => (issue.path && issue.received === "undefined" ? "is missing" : "must be an object"),
);

/** The shape of config.json, but for its configurations. Keys that are not known are let through, and reported by the reader. */
export const configFile = v.pipe(v.custom<object>(isNoList, "must be an object"), topKeys);

export type ConfigFile = v.InferOutput<typeof configFile> & {
  configurations: Record<string, ConfigurationEntry>;
};

/** The keys that have a meaning: at the top, and in a configuration. */
export const knownKeys: Readonly<Record<"top" | "configuration", ReadonlySet<string>>> = {
  top: new Set(Object.keys(topKeys.entries)),
  configuration: new Set(Object.keys(configurationKeys.entries)),
};
