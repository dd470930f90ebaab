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
import type { Session } from "../session/session-state.ts";
import { StateHookError } from "../session/state-hook.ts";
import { Exclusive } from "./exclusive.ts";
import { heartbeat } from "./heartbeat.ts";
import type { LimitedLog } from "./limited-log.ts";
import { inUse } from "./occupant.ts";
import { TakenOverError, type TakeOver } from "./take-over.ts";

export interface SessionsOptions {
  config: Config;
  /** Bytes in flight for the local clients of all sessions. */
  budget: ByteBudget;
  /** Where the caches of all sessions count. */
  memory: MemoryBudget;
  /** Milliseconds between pings of an idle WebSocket. */
  pingInterval: number;
  /** Whether newcomers are told who has a configuration that is in use. That is for those who have logged in. */
  tellsWho: boolean;
  /** Asks for an orderly end of all sessions. */
  signal: AbortSignal;
  log: LimitedLog;
}

/** Who opens a WebSocket, and what for. */
export interface Visitor {
  /** The path that names the configuration. */
  readonly path: string;
  readonly address: string;
  /** Whether it takes the configuration over if that is in use. */
  readonly takesOver: boolean;
}

/** Milliseconds that the other side of a session has to answer when a newcomer wants its place. */
const ANSWER_TIME = 5000;

/** The sessions of a gateway, one at a time for each configuration. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #running = new Set<Promise<void>>();
  readonly #exclusive = new Exclusive();
  #failedAtEnd = 0;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Runs a session over a WebSocket, for the configuration that the visitor names. */
  start(client: WebSocket, socket: Socket, visitor: Visitor): void {
    const running = this.#serve(client, socket, visitor)
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

  async #serve(client: WebSocket, socket: Socket, visitor: Visitor): Promise<void> {
    const { config, budget, memory, pingInterval, tellsWho, signal, log } = this.#options;
    const { path, address } = visitor;
    const since = new Date();
    const transport = webSocket(client, { wordsFor: wordsForOthers });
    const beat = heartbeat(client, socket, pingInterval, () => {
      transport.close(new LinkError("the other side does not answer any more"));
      client.terminate();
    });
    /** Anybody can connect, so before a session has its place its lines count as those of strangers. */
    let note = (line: string) => log.stranger(line);
    let running: Session | undefined;
    const ending = new AbortController();
    const end = () => ending.abort(signal.reason);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
    try {
      const configuration = configurationAt(config, path);
      const { name } = configuration;
      note = (line) => log.stranger(`${name}: ${line}`);
      if (this.#exclusive.handOver(name, transport)) return;
      const takeOver = visitor.takesOver ? takeOverOf(configuration, address) : undefined;
      const places: Places = {
        look: () => this.#exclusive.look(name, () => placesOfThisMachine.look(configuration), { takeOver }),
        claim: async () => {
          const claim = () => placesOfThisMachine.claim(configuration);
          const place = await this.#exclusive.claim(name, transport, claim, {
            takeOver,
            isAlive: () => beat.isAlive(ANSWER_TIME),
            ...(tellsWho && {
              describe: () =>
                inUse({ since, name: running?.exported?.name ?? "", address, silence: beat.silence }),
            }),
            end: (reason) => ending.abort(reason),
          });
          note = (line) => log.session(name, line);
          return place;
        },
      };
      running = session(transport, configuration, {
        budget,
        memory,
        log: (line) => note(line),
        signal: ending.signal,
        places,
      });
      await running.ended;
      const { reason } = ending.signal;
      note(reason instanceof TakenOverError ? reason.message : "ended");
    } catch (error) {
      const isInOrder = !(error instanceof LossError || error instanceof StateHookError);
      if (signal.aborted && !isInOrder) this.#failedAtEnd++;
      note(messageOf(error));
      transport.close(error);
    } finally {
      signal.removeEventListener("abort", end);
    }
  }
}

function takeOverOf({ takeOver, takeOverInterval }: Configuration, by: string): TakeOver {
  return { by, isAllowed: takeOver, interval: takeOverInterval * 1000 };
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
