import type { Config, Configuration } from "./config.ts";

/** What is different in a configuration file that was read again. */
export interface ConfigChange {
  /** Names of configurations. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Keys that say something else, which holds from now on. */
  readonly now: readonly string[];
  /** Those of which that holds from the next start on only. */
  readonly later: readonly string[];
}

/**
 * The configuration of a gateway that runs. Whoever asks it is told what holds now: the configurations, which one is the
 * default, hosts and origins can change; all else is as it was at the start.
 */
export class LiveConfig implements Config {
  readonly #first: Config;
  #now: Config;

  constructor(config: Config) {
    this.#first = config;
    this.#now = config;
  }

  /** Has another configuration hold from now on, and tells what is different. */
  take(config: Config): ConfigChange {
    const last = this.#now;
    const before = last.configurations;
    const after = config.configurations;
    const change = {
      added: [...after.keys()].filter((name) => !before.has(name)),
      changed: [...after].filter(([name, one]) => isOther(before.get(name), one)).map(([name]) => name),
      removed: [...before.keys()].filter((name) => !after.has(name)),
      now: [
        ...(last.defaultName === config.defaultName ? [] : ["default"]),
        ...(isSame(last.allowedHosts, config.allowedHosts) ? [] : ["allowed-hosts"]),
        ...(isSame(last.allowedOrigins, config.allowedOrigins) ? [] : ["allowed-origins"]),
      ],
      later: laterKeys(this.#first, config),
    };
    // Only what could be compared holds.
    this.#now = config;
    return change;
  }

  get configurations() {
    return this.#now.configurations;
  }
  get defaultName() {
    return this.#now.defaultName;
  }
  get allowedHosts() {
    return this.#now.allowedHosts;
  }
  get allowedOrigins() {
    return this.#now.allowedOrigins;
  }
  get warnings() {
    return this.#now.warnings;
  }
  get file() {
    return this.#first.file;
  }
  get tokenFile() {
    return this.#first.tokenFile;
  }
  get memory() {
    return this.#first.memory;
  }
  get gateway() {
    return this.#first.gateway;
  }
  get limits() {
    return this.#first.limits;
  }
}

function isOther(before: Configuration | undefined, after: Configuration): boolean {
  return before !== undefined && !isSame(before, after);
}

function laterKeys(first: Config, now: Config): string[] {
  const names = new Set([...Object.keys(first.gateway), ...Object.keys(now.gateway)]) as Set<
    keyof Config["gateway"]
  >;
  return [
    ...[...names].filter((name) => !isSame(first.gateway[name], now.gateway[name])),
    ...(first.tokenFile === now.tokenFile ? [] : ["token-file"]),
    ...(first.memory === now.memory ? [] : ["memory-mb"]),
    ...(isSame(first.limits, now.limits) ? [] : ["the limits of connections"]),
  ];
}

/** What was read from a file consists of plain values. */
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
