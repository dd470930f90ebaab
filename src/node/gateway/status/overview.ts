import { hostname } from "node:os";
import { version } from "../../../../package.json";
import type { Config, Configuration } from "../../config/config.ts";
import type { Board, BoardEntry } from "./board.ts";
import {
  type ConfigurationStatus,
  configurationStatus,
  STATUS_VERSION,
  type StatusDocument,
} from "./document.ts";

/** What a gateway and its configurations are at, made for those who look on. */
export class Overview {
  readonly #config: Pick<Config, "configurations" | "defaultName">;
  readonly #board: Board;
  readonly #startedAt = new Date();
  readonly #began = performance.now();
  readonly version = version;

  /** @param config read anew each time */
  constructor(config: Pick<Config, "configurations" | "defaultName">, board: Board) {
    this.#config = config;
    this.#board = board;
  }

  /** What `GET /status` answers. */
  document(): StatusDocument {
    const uptime = Math.floor((performance.now() - this.#began) / 1000);
    return {
      version: STATUS_VERSION,
      gateway: { version, host: hostname(), startedAt: this.#startedAt.toISOString(), uptime },
      configurations: this.#all().map((one) => this.#statusOf(one)),
    };
  }

  /** A configuration as it is now; undefined if there is none of that name. */
  configuration(name: string): ConfigurationStatus | undefined {
    const one = this.#find(name);
    return one && this.#statusOf(one);
  }

  /** What is known of each configuration, by its name. */
  get entries(): ReadonlyMap<string, BoardEntry> {
    return new Map(this.#all().map(({ name }) => [name, this.#board.of(name)]));
  }

  /** Those of the file, and those that a session still has. */
  #all(): Configuration[] {
    const names = new Set([...this.#config.configurations.keys(), ...this.#board.held]);
    return [...names].flatMap((name) => this.#find(name) ?? []);
  }

  /** A session goes on with what it began with. */
  #find(name: string): Configuration | undefined {
    return this.#board.of(name).holding?.configuration ?? this.#config.configurations.get(name);
  }

  #statusOf(one: Configuration): ConfigurationStatus {
    return configurationStatus(one, this.#board.of(one.name), one.name === this.#config.defaultName);
  }
}
