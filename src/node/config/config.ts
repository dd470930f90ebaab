import { readFile } from "node:fs/promises";
import * as v from "valibot";
import { type Address, parseAddress } from "./address.ts";
import { type ConfigFile, configFile, knownKeys } from "./schema.ts";

/** Where a configuration file is looked for, in this order, when none is named. */
export const CONFIG_FILES = ["/etc/nbd-proxy/config.json", "./config.json"];

const DEFAULT_TIMEOUT = 30;
const DEFAULT_STATE_HOOK = "/etc/nbd-proxy/state";

/** Something in the configuration is wrong. The message says in which file, which configuration, which key. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** One configuration of the file, with the keys from the file's top level filled in. */
export interface Configuration {
  name: string;
  /** What to do with the export: attach it to a kernel device, or offer it to local NBD clients. */
  target: { nbdDevice: string } | { listen: Address };
  /** Seconds without an answer after which a request fails; 0: never. */
  timeout: number;
  /** The executable to run when the export is ready and when it goes. */
  stateHook: string;
  /** What `--metadata` prints. */
  metadata: unknown;
}

/** A configuration file that was read and found right. */
export interface Config {
  file: string;
  configurations: ReadonlyMap<string, Configuration>;
  /** The name of the configuration to use when none is named, where there is one. */
  defaultName: string | undefined;
  /** Names under which the gateway may be reached, besides localhost and IP addresses. */
  allowedHosts: readonly string[];
  /** What is odd but no error, a line each: keys without a meaning. */
  warnings: readonly string[];
}

/**
 * Reads a configuration file: the named one, else the first of CONFIG_FILES that is there.
 * @throws ConfigError
 */
export async function readConfig(file?: string): Promise<Config> {
  if (file !== undefined) return parseConfig(file, await readText(file, true));
  for (const candidate of CONFIG_FILES) {
    const text = await readText(candidate, false);
    if (text !== undefined) return parseConfig(candidate, text);
  }
  throw new ConfigError(
    `there is no ${CONFIG_FILES.join(" and no ")}; name a configuration file with --config`,
  );
}

async function readText(file: string, required: true): Promise<string>;
async function readText(file: string, required: false): Promise<string | undefined>;
async function readText(file: string, required: boolean): Promise<string | undefined> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    if (!required && (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new ConfigError(`reading ${file}: ${(error as Error).message}`);
  }
}

/**
 * Reads the text of a configuration file.
 * @param file its name, for the messages
 * @throws ConfigError
 */
export function parseConfig(file: string, text: string): Config {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(`${file} is not JSON: ${(error as Error).message.replace(/\s+/g, " ")}`);
  }
  const parsed = v.safeParse(configFile, json);
  if (!parsed.success) {
    const issue = parsed.issues[0];
    const keys = issue.path?.map(({ key }) => String(key)) ?? [];
    throw new ConfigError(`${place(file, keys)} ${issue.message}, not ${issue.received}`);
  }
  const source = parsed.output;
  const configurations = new Map(
    Object.keys(source.configurations).map((name) => [name, configurationOf(file, source, name)]),
  );
  return {
    file,
    configurations,
    defaultName: defaultOf(file, source),
    allowedHosts: source["allowed-hosts"] ?? [],
    warnings: unknownKeys(file, source),
  };
}

/** "FILE: configuration "NAME": "KEY"", as far as the path of a key goes. */
function place(file: string, keys: readonly string[]): string {
  if (keys.length === 0) return `${file}: the file`;
  if (keys[0] !== "configurations" || keys.length === 1) return `${file}: "${keys[0]}"`;
  if (keys.length === 2) return `${file}: configuration "${keys[1]}"`;
  return `${file}: configuration "${keys[1]}": "${keys[2]}"`;
}

function configurationOf(file: string, source: ConfigFile, name: string): Configuration {
  const entry = source.configurations[name]!;
  const device = entry["nbd-device"];
  const here = place(file, ["configurations", name]);
  if ((device === undefined) === (entry.listen === undefined)) {
    const fault = device === undefined ? "has neither" : "has both";
    throw new ConfigError(
      `${here} ${fault} "nbd-device" ${device === undefined ? "nor" : "and"} "listen"; it needs one`,
    );
  }
  let target: Configuration["target"];
  if (device !== undefined) target = { nbdDevice: device };
  else {
    const address = parseAddress(entry.listen!);
    if (!address) {
      throw new ConfigError(
        `${here}: "listen" must be "unix:PATH" or "tcp:HOST:PORT", not "${entry.listen}"`,
      );
    }
    target = { listen: address };
  }
  return {
    name,
    target,
    timeout: entry.timeout ?? source.timeout ?? DEFAULT_TIMEOUT,
    stateHook: entry["state-hook"] ?? source["state-hook"] ?? DEFAULT_STATE_HOOK,
    metadata: entry.metadata ?? null,
  };
}

function defaultOf(file: string, { configurations }: ConfigFile): string | undefined {
  const names = Object.keys(configurations);
  const defaults = names.filter((name) => configurations[name]!.default);
  if (defaults.length > 1) {
    const list = defaults.map((name) => `"${name}"`).join(" and ");
    throw new ConfigError(
      `${file}: "default" is true in configurations ${list}; only one can be the default`,
    );
  }
  return defaults[0] ?? (names.length === 1 ? names[0] : undefined);
}

function unknownKeys(file: string, source: ConfigFile): string[] {
  const odd = (at: string, object: object, known: ReadonlySet<string>) =>
    Object.keys(object)
      .filter((key) => !known.has(key))
      .map((key) => `${at}: "${key}" has no meaning and is ignored`);
  return [
    ...odd(file, source, knownKeys.top),
    ...Object.entries(source.configurations).flatMap(([name, entry]) =>
      odd(place(file, ["configurations", name]), entry, knownKeys.configuration),
    ),
  ];
}

/**
 * The configuration called `name`, or the default one.
 * @throws ConfigError when there is none
 */
export function chooseConfiguration(config: Config, name?: string): Configuration {
  const names = [...config.configurations.keys()].map((known) => `"${known}"`).join(", ") || "none";
  const chosen = name ?? config.defaultName;
  if (chosen === undefined) {
    throw new ConfigError(`${config.file}: no configuration has "default": true; name one of ${names}`);
  }
  const configuration = config.configurations.get(chosen);
  if (!configuration)
    throw new ConfigError(`${config.file}: there is no configuration "${chosen}", only ${names}`);
  return configuration;
}

/** What `nbd-proxy --metadata` prints: configuration name → its metadata or null. */
export function metadataOf(config: Config): Record<string, unknown> {
  return Object.fromEntries([...config.configurations].map(([name, { metadata }]) => [name, metadata]));
}
