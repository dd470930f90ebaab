import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { LinkError } from "../../nbd/error.ts";
import type { ByteBudget } from "../../streams/budget.ts";
import { withWordsForOthers, wordsForOthers } from "../../streams/for-others.ts";
import type { MemoryBudget } from "../../streams/memory-budget.ts";
import { messageOf } from "../../streams/message-of.ts";
import { quoted } from "../../streams/quoted.ts";
import { webSocket } from "../../transport/websocket.ts";
import type { Config, Configuration } from "../config/config.ts";
import { withoutCredentials } from "../login/credentials.ts";
import { LossError } from "../session/last-writes.ts";
import type { Places } from "../session/place.ts";
import { places as placesOfThisMachine } from "../session/places.ts";
import { session } from "../session/session.ts";
import { StateHookError } from "../session/state-hook.ts";
import { Exclusive } from "./exclusive.ts";
import { heartbeat } from "./heartbeat.ts";
import type { LimitedLog } from "./limited-log.ts";

export interface SessionsOptions {
  config: Config;
  /** Bytes in flight for the local clients of all sessions. */
  budget: ByteBudget;
  /** Where the caches of all sessions count. */
  memory: MemoryBudget;
  /** Milliseconds between pings of an idle WebSocket. */
  pingInterval: number;
  /** Asks for an orderly end of all sessions. */
  signal: AbortSignal;
  log: LimitedLog;
}

/** The sessions of a gateway, one at a time for each configuration. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #running = new Set<Promise<void>>();
  readonly #exclusive = new Exclusive();
  #failedAtEnd = 0;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Runs a session over a WebSocket, for the configuration that a path names. */
  start(client: WebSocket, socket: Socket, path: string): void {
    const running = this.#serve(client, socket, path)
      .catch((error: unknown) => {
        this.#options.log.stranger(`a session could not begin: ${messageOf(error)}`);
        client.terminate();
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when no session runs any more, with the number of those that lost something in their orderly end. */
  async over(): Promise<number> {
    await Promise.allSettled(this.#running);
    return this.#failedAtEnd;
  }

  async #serve(client: WebSocket, socket: Socket, path: string): Promise<void> {
    const { config, budget, memory, pingInterval, signal, log } = this.#options;
    const transport = webSocket(client, { wordsFor: wordsForOthers });
    heartbeat(client, socket, pingInterval, () => {
      transport.close(new LinkError("the other side does not answer any more"));
      client.terminate();
    });
    /** Anybody can connect, so before a session has its place its lines count as those of strangers. */
    let note = (line: string) => log.stranger(line);
    try {
      const configuration = configurationAt(config, path);
      const { name } = configuration;
      note = (line) => log.stranger(`${name}: ${line}`);
      if (this.#exclusive.handOver(name, transport)) return;
      const places: Places = {
        look: () => this.#exclusive.look(name, () => placesOfThisMachine.look(configuration)),
        claim: async () => {
          const claim = () => placesOfThisMachine.claim(configuration);
          const place = await this.#exclusive.claim(name, transport, claim);
          note = (line) => log.session(name, line);
          return place;
        },
      };
      const running = session(transport, configuration, {
        budget,
        memory,
        log: (line) => note(line),
        signal,
        places,
      });
      await running.ended;
      note("ended");
    } catch (error) {
      const isInOrder = !(error instanceof LossError || error instanceof StateHookError);
      if (signal.aborted && !isInOrder) this.#failedAtEnd++;
      note(messageOf(error));
      transport.close(error);
    }
  }
}

/**
 * The configuration that a path names; `/` is the default one.
 * @throws Error when there is none. It does not tell others which there are.
 */
function configurationAt({ configurations, defaultName }: Config, path: string): Configuration {
  const name = nameIn(path) ?? defaultName;
  if (name === undefined) {
    throw withWordsForOthers(new Error("no configuration is the default one; the path must name one"));
  }
  const configuration = configurations.get(name);
  if (configuration) return configuration;
  const error = new Error(`there is no configuration ${quoted(withoutCredentials(name))}`);
  throw withWordsForOthers(error, "there is no such configuration");
}

/** The name of a configuration that a path has; undefined in `/`, which is the default one. */
export function nameIn(path: string): string | undefined {
  const encoded = path.replace(/[?#].*/s, "").slice(1);
  if (encoded === "") return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}
