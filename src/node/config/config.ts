import { join } from "node:path";
import * as v from "valibot";
import { checkObject, checkType } from "../../streams/check.ts";
import { messageOf } from "../../streams/message-of.ts";
import { quoted } from "../../streams/quoted.ts";
import { isLoopback } from "../loopback.ts";
import { type SourceSettings, sourceSettingsOf } from "../pull/sources.ts";
import type { HeldSocket } from "../session/held-socket.ts";
import type { SocketPermissions } from "../session/socket-permissions.ts";
import { reasonOf } from "../system-error.ts";
import { judgeSocketFile } from "../systemd/inherited-socket.ts";
import { type Address, formatAddress, parseAddress, tooLongPath } from "./address.ts";
import { isConfigurationName, NAME_RULE } from "./configuration-name.ts";
import { type GatewayKeys, gatewayKeysOf, socketPermissionsOf } from "./gateway-keys.ts";
import { type GatewayLimits, limitsOf } from "./limits.ts";
import { type LinkSettings, linkKeysFault, linkSettingsOf } from "./link-keys.ts";
import { type ConfigurationPermissions, permissionsOf } from "./permissions.ts";
import { type ResumeSettings, resumeSettingsOf } from "./resume-keys.ts";
import { runtimeFolder } from "./runtime-folder.ts";
import {
  type ConfigFile,
  configFile,
  configuration,
  type DeviceSettings,
  deviceSettings,
  knownKeys,
} from "./schema.ts";
import { readTrustedText } from "./trusted-text.ts";

const IS_ROOT = process.geteuid?.() === 0;

/**
 * Where a configuration file is looked for, in this order, if none is named. Root does not read one from the current folder, which
 * may be anybody's.
 */
const CONFIG_FILES = ["/etc/nbd-proxy/config.json", ...(IS_ROOT ? [] : ["./config.json"])];

const DEFAULT_TIMEOUT = 30;
const DEFAULT_STATE_HOOK = "/etc/nbd-proxy/state";
const DEFAULT_MAX_CLIENTS = 64;
const DEFAULT_MEMORY_MIB = 96;
const MIB = 1 << 20;

/** Something in the configuration is wrong. The message says in which file, which configuration, which key. */
export class ConfigError extends Error {
  override name = "ConfigError";
}

/** A socket for local NBD clients. */
export interface ListenTarget {
  listen: Address;
  maxClients: number;
  /** Of a unix socket. */
  socketPermissions?: SocketPermissions;
  /** The socket, where the program was started with it. */
  held?: HeldSocket;
}

/** Sockets that listen already, by the names of their configurations. */
export type HeldSockets = ReadonlyMap<string, HeldSocket>;

/** One configuration of the file, with the keys from the file's top level filled in. */
export interface Configuration
  extends ConfigurationPermissions,
    ResumeSettings,
    LinkSettings,
    SourceSettings {
  name: string;
  /** The file that it stands in, for messages. */
  file: string;
  /** What to do with the export: attach it to a kernel device, or offer it to local NBD clients. */
  target: { nbdDevice: string; settings: DeviceSettings } | ListenTarget;
  /** Seconds without an answer after which a request fails; 0: never. */
  timeout: number;
  /** The executable to run when the export is ready and when it goes. */
  stateHook: string;
  /** What `--metadata` prints. */
  metadata: unknown;
}

/** A configuration file that was read and is valid. */
export interface Config {
  file: string;
  configurations: ReadonlyMap<string, Configuration>;
  /** The name of the default configuration, if there is one. */
  defaultName: string | undefined;
  /** Names under which the gateway may be reached, besides localhost and IP addresses. */
  allowedHosts: readonly string[];
  /** Origins of other pages that may use the gateway, with a token. */
  allowedOrigins: readonly string[];
  /** The file with the token, if one is named. */
  tokenFile: string | undefined;
  /** Bytes of memory for the caches of all sessions and for spare memory. */
  memory: number;
  /** How the gateway is reached. */
  gateway: GatewayKeys;
  /** What the gateway lets its clients have. */
  limits: GatewayLimits;
  /** Oddities that are not errors, one line each: keys without a meaning. */
  warnings: readonly string[];
}

/**
 * Reads a configuration file: the named one, else the first of `candidates` that is there.
 * @param held sockets that listen already, in place of those that their configurations would make
 * @throws ConfigError when it cannot be read, is wrong, or somebody else could change it (see `trustedPath`)
 */
export async function readConfig(
  file?: string,
  candidates: readonly string[] = CONFIG_FILES,
  held?: HeldSockets,
): Promise<Config> {
  if (file !== undefined) {
    checkType(file, "the path of the configuration file", "string");
    return parseConfig(file, await readText(file, true), held);
  }
  for (const candidate of candidates) {
    const text = await readText(candidate, false);
    if (text !== undefined) return parseConfig(candidate, text, held);
  }
  const also = IS_ROOT && candidates === CONFIG_FILES ? ", and as root ./config.json is not read" : "";
  throw new ConfigError(
    `there is no ${candidates.join(" and no ")}${also}; name a configuration file with --config`,
  );
}

async function readText(file: string, required: true): Promise<string>;
async function readText(file: string, required: false): Promise<string | undefined>;
async function readText(file: string, required: boolean): Promise<string | undefined> {
  try {
    return await readTrustedText(file);
  } catch (error) {
    if (!required && (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    // The replacement character, which Node puts for bytes that are not UTF-8.
    const hint = file.includes("\ufffd") ? "; a name that is not UTF-8 cannot be read here" : "";
    throw new ConfigError(`reading the configuration file ${file || '""'}: ${reasonOf(error)}${hint}`);
  }
}

/**
 * Reads the text of a configuration file.
 * @param file its name, for the messages
 * @param held as for `readConfig`
 * @throws ConfigError
 */
export function parseConfig(file: string, text: string, held: HeldSockets = new Map()): Config {
  checkType(text, "the text of a configuration file", "string");
  let json: unknown;
  try {
    json = JSON.parse(text.replace(/^\ufeff/, ""));
  } catch (error) {
    throw new ConfigError(`${file} is not JSON: ${messageOf(error).replace(/\s+/g, " ")}`);
  }
  const top = read(file, configFile, json, []);
  // From the JSON itself: what valibot returns lacks names such as "constructor".
  const { configurations: entries } = json as { configurations: object };
  const source: ConfigFile = { ...top, configurations: readEntries(file, entries) };
  const configurations = new Map(
    Object.keys(source.configurations).map((name) => [
      name,
      configurationOf(file, source, name, held.get(name)),
    ]),
  );
  return {
    file,
    configurations,
    defaultName: defaultOf(file, source),
    allowedHosts: source["allowed-hosts"] ?? [],
    allowedOrigins: source["allowed-origins"] ?? [],
    tokenFile: source["token-file"],
    memory: (source["memory-mb"] ?? DEFAULT_MEMORY_MIB) * MIB,
    gateway: gatewayKeysOf(top),
    limits: limitsOf(source),
    warnings: unknownKeys(file, json as ConfigFile),
  };
}

/** Reads the value at a path of keys. */
function read<S extends v.GenericSchema>(
  file: string,
  schema: S,
  value: unknown,
  at: readonly string[],
): v.InferOutput<S> {
  const parsed = v.safeParse(schema, value);
  if (parsed.success) return parsed.output;
  const issue = parsed.issues[0];
  const keys = [...at, ...(issue.path?.map(({ key }) => String(key)) ?? [])];
  const found = issue.input === undefined ? "" : `, not ${shown(issue.input)}`;
  throw new ConfigError(`${place(file, keys)} ${issue.message}${found}`);
}

/** The configurations by name. The object inherits nothing, so "constructor" may be a name. */
function readEntries(file: string, entries: object): ConfigFile["configurations"] {
  const configurations: ConfigFile["configurations"] = Object.create(null);
  for (const [name, entry] of Object.entries(entries)) {
    if (!isConfigurationName(name)) {
      const rule = name === "__proto__" ? "" : `: ${NAME_RULE}`;
      throw new ConfigError(`${file}: a configuration cannot be called ${quoted(name)}${rule}`);
    }
    configurations[name] = read(file, configuration, entry, ["configurations", name]);
  }
  return configurations;
}

/** A short form of a value, for messages. */
function shown(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "an object";
  // JSON cannot write Infinity, which a number that is too large becomes.
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** "FILE: configuration "NAME": "KEY"", as far as the path of a key goes. */
function place(file: string, keys: readonly string[]): string {
  if (keys.length === 0) return `${file}: the file`;
  if (keys[0] !== "configurations" || keys.length === 1) return `${file}: "${keys[0]}"`;
  if (keys.length === 2) return `${file}: configuration "${keys[1]}"`;
  return `${file}: configuration "${keys[1]}": "${keys[2]}"`;
}

function configurationOf(
  file: string,
  source: ConfigFile,
  name: string,
  held: HeldSocket | undefined,
): Configuration {
  const entry = source.configurations[name]!;
  const device = entry["nbd-device"];
  const here = place(file, ["configurations", name]);
  if ((device === undefined) === (entry.listen === undefined)) {
    const fault = device === undefined ? "has neither" : "has both";
    throw new ConfigError(
      `${here} ${fault} "nbd-device" ${device === undefined ? "nor" : "and"} "listen"; it needs one of them`,
    );
  }
  const fault = linkKeysFault({ ...source, ...entry });
  if (fault) throw new ConfigError(`${here}: ${fault}`);
  let target: Configuration["target"];
  if (device !== undefined && held)
    throw new ConfigError(`${here} has "nbd-device", and the socket that is called so could serve nobody`);
  if (device !== undefined)
    target = { nbdDevice: device, settings: v.parse(deviceSettings, { ...source, ...entry }) };
  else {
    const address = held?.address ?? parseAddress(entry.listen!);
    if (!address) {
      throw new ConfigError(
        `${here}: "listen" must be "unix:PATH" or "tcp:HOST:PORT", not ${JSON.stringify(entry.listen)}`,
      );
    }
    if (held && "path" in address && !(entry.insecure ?? source.insecure)) judgeHeld(address.path, here);
    if (!held && "path" in address) {
      if (!address.path.includes("/")) address.path = join(runtimeFolder(), address.path);
      const fault = tooLongPath(address.path);
      if (fault) throw new ConfigError(`${here}: "listen": ${fault}`);
    }
    if ("host" in address && !isLoopback(address.host) && !(entry.insecure ?? source.insecure)) {
      throw new ConfigError(
        `${here}: "listen": other machines can reach ${formatAddress(address)}, and NBD has no login: anybody who reaches the port can use the disk; "insecure": true allows that`,
      );
    }
    const maxClients = entry["max-clients"] ?? source["max-clients"] ?? DEFAULT_MAX_CLIENTS;
    const socketPermissions = socketPermissionsOf(entry);
    target = {
      listen: address,
      maxClients,
      ...(socketPermissions && { socketPermissions }),
      ...(held && { held }),
    };
  }
  return {
    name,
    file,
    target,
    timeout: entry.timeout ?? source.timeout ?? DEFAULT_TIMEOUT,
    stateHook: entry["state-hook"] ?? source["state-hook"] ?? DEFAULT_STATE_HOOK,
    ...permissionsOf({ ...source, ...entry }),
    ...resumeSettingsOf({ ...source, ...entry }),
    ...linkSettingsOf({ ...source, ...entry }),
    ...sourceSettingsOf({ ...source, ...entry }),
    metadata: entry.metadata ?? null,
  };
}

/** @throws ConfigError when everybody may connect to a socket that was there before this process */
function judgeHeld(path: string, here: string): void {
  try {
    judgeSocketFile(path);
  } catch (error) {
    throw new ConfigError(`${here}: ${messageOf(error)}; "insecure": true allows it`);
  }
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

const deviceKeys: ReadonlySet<string> = new Set(Object.keys(deviceSettings.entries));
const listenerKeys: ReadonlySet<string> = new Set(["max-clients", "insecure", "socket-mode", "socket-group"]);

function unknownKeys(file: string, source: ConfigFile): string[] {
  const odd = (at: string, object: object, known: ReadonlySet<string>) =>
    Object.keys(object)
      .filter((key) => !known.has(key))
      .map((key) => `${at}: "${key}" is not a known key and is ignored`);
  return [
    ...odd(file, source, knownKeys.top),
    ...Object.entries(source.configurations).flatMap(([name, entry]) => {
      const here = place(file, ["configurations", name]);
      const [target, others] =
        entry.listen === undefined ? ["nbd-device", listenerKeys] : ["listen", deviceKeys];
      const idle = Object.keys(entry).filter((key) => others.has(key));
      return [
        ...odd(here, entry, knownKeys.configuration),
        ...idle.map((key) => `${here}: "${key}" has no meaning with "${target}" and is ignored`),
      ];
    }),
  ];
}

/**
 * The configuration called `name`, or the default one.
 * @throws ConfigError when there is none
 */
export function chooseConfiguration(config: Config, name?: string): Configuration {
  checkObject(config, "the configuration file");
  if (config.configurations.size === 0) throw new ConfigError(`${config.file}: "configurations" is empty`);
  const names = [...config.configurations.keys()].map((known) => `"${known}"`).join(", ");
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
  checkObject(config, "the configuration file");
  return Object.fromEntries([...config.configurations].map(([name, { metadata }]) => [name, metadata]));
}
