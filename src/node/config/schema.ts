import * as v from "valibot";

const timeout = v.pipe(
  v.number("must be a number of seconds"),
  v.finite("must be a number of seconds"),
  v.minValue(0, "must be 0 or more seconds"),
);
const path = v.pipe(v.string("must be a path"), v.nonEmpty("must be a path"));

/** Keys that stand at the top and may be set again for each configuration. */
const shared = {
  timeout: v.optional(timeout),
  "state-hook": v.optional(path),
};

const configuration = v.looseObject(
  {
    ...shared,
    "nbd-device": v.optional(path),
    listen: v.optional(v.pipe(v.string('must be "unix:PATH" or "tcp:HOST:PORT"'))),
    default: v.optional(v.boolean("must be true or false")),
    metadata: v.optional(v.unknown()),
  },
  "must be an object",
);

/** The shape of config.json. Keys that are not known are let through, and reported by the reader. */
export const configFile = v.looseObject(
  {
    ...shared,
    "allowed-hosts": v.optional(v.array(v.string("must be a host name"), "must be a list of host names")),
    configurations: v.record(v.string(), configuration, "must be an object of configurations"),
  },
  "must be an object",
);

export type ConfigFile = v.InferOutput<typeof configFile>;

/** The keys that have a meaning: at the top, and in a configuration. */
export const knownKeys: Readonly<Record<"top" | "configuration", ReadonlySet<string>>> = {
  top: new Set(Object.keys(configFile.entries)),
  configuration: new Set(Object.keys(configuration.entries)),
};
