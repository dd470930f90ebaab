import type { Socket } from "node:net";
import type { WebSocket } from "ws";
import { LinkError } from "../../nbd/error.ts";
import type { ByteBudget } from "../../streams/budget.ts";
import { webSocket } from "../../transport/websocket.ts";
import { type Config, ConfigError, chooseConfiguration } from "../config/config.ts";
import { LossError, session } from "../session/session.ts";
import { Exclusive } from "./exclusive.ts";
import { heartbeat } from "./heartbeat.ts";

export interface SessionsOptions {
  config: Config;
  /** Bytes in flight for the local clients of all sessions. */
  budget: ByteBudget;
  /** Milliseconds between pings of an idle WebSocket. */
  pingInterval: number;
  /** Asks for an orderly end of all sessions. */
  signal: AbortSignal;
  /** Takes a line for people. */
  log(line: string): void;
}

/** The sessions of a gateway, one at a time for each configuration. */
export class Sessions {
  readonly #options: SessionsOptions;
  readonly #running = new Set<Promise<void>>();
  readonly #exclusive = new Exclusive();
  #losses = 0;

  constructor(options: SessionsOptions) {
    this.#options = options;
  }

  /** Runs a session over a WebSocket, for the configuration that a path names. */
  start(client: WebSocket, socket: Socket, path: string): void {
    const running = this.#serve(client, socket, path).finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Resolves when no session runs any more, with the number of those that have lost something in their orderly end. */
  async over(): Promise<number> {
    await Promise.allSettled(this.#running);
    return this.#losses;
  }

  async #serve(client: WebSocket, socket: Socket, path: string): Promise<void> {
    const { config, budget, pingInterval, signal, log } = this.#options;
    const transport = webSocket(client);
    heartbeat(client, socket, pingInterval, () => {
      transport.close(new LinkError("the other side does not answer any more"));
      client.terminate();
    });
    const asked = nameIn(path);
    const label = asked ?? config.defaultName ?? "(default)";
    const note = (line: string) => log(`${label}: ${line}`);
    try {
      const configuration = chooseConfiguration(config, asked);
      await this.#exclusive.run(configuration.name, transport, () =>
        session(transport, configuration, { budget, log: note, signal }),
      );
      note("ended");
    } catch (error) {
      if (signal.aborted && error instanceof LossError) this.#losses++;
      note((error as Error).message);
      transport.close(error instanceof ConfigError ? new Error(withoutFile(error, config.file)) : error);
    }
  }
}

/** The configuration that a path names; undefined for `/`, the default one. */
function nameIn(path: string): string | undefined {
  const encoded = path.replace(/[?#].*/s, "").slice(1);
  if (encoded === "") return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded;
  }
}

/** The paths of this machine are no concern of who is at the other end. */
function withoutFile(error: Error, file: string): string {
  return error.message.replace(`${file}: `, "");
}
