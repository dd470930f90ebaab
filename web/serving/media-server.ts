import type { Export } from "../../src/export/export.ts";
import { ReadCache } from "../../src/export/filters/cache.ts";
import { LEAST_BUDGET, windowsIn } from "../../src/export/filters/windows.ts";
import type { Clock } from "../../src/resuming/clock.ts";
import { serveBlob } from "../../src/serve-blob.ts";
import { messageOf } from "../../src/streams/message-of.ts";
import { openWebSocket } from "../../src/transport/open-web-socket.ts";
import { webSocketClosed } from "../../src/transport/web-socket-closed.ts";
import { checkMaxMessage, WebSocketError } from "../../src/transport/websocket.ts";
import type { Engine } from "./engine.ts";
import { lateFaults } from "./late-faults.ts";
import { Meter } from "./meter.ts";
import type { Failure, ServingReport } from "./report.ts";
import { serveWebFile, type WebFileOwner } from "./serve-web-file.ts";
import type { ServingOptions } from "./serving.ts";
import { isWebFile } from "./source.ts";
import { Wakes } from "./wakes.ts";

export interface MediaServerOptions extends ServingOptions {
  clock?: Clock;
}

/** Serves a file, or an image at an address, and reports what it does. It needs no DOM: it runs in a Worker as in a page. */
export class MediaServer implements Engine {
  readonly #options: MediaServerOptions;
  readonly #meter: Meter;
  readonly #ending = new AbortController();
  readonly #wakes = new Wakes();
  #protocols: readonly string[];
  #socket: WebSocket | undefined;

  /** Begins to serve. The first report comes at once. */
  constructor(options: MediaServerOptions, onReport: (report: ServingReport) => void) {
    const { file, cells, retry, clock } = options;
    this.#options = options;
    this.#protocols = options.protocols;
    this.#meter = new Meter({ size: file.size, cells, retry, onReport, ...(clock && { clock }) });
    void this.#run();
  }

  protocols(protocols: readonly string[]): void {
    this.#protocols = protocols;
  }

  wake(): void {
    this.#wakes.wake();
  }

  stop(): void {
    this.#ending.abort();
  }

  /** Has a report made, even if there is nothing new. */
  ask(): void {
    this.#meter.ask();
  }

  async #run(): Promise<void> {
    const failure = await this.#serve().then(() => undefined, failureOf);
    // Before that, who runs this may not end it by force.
    await webSocketClosed(this.#socket);
    if (failure) this.#meter.become("failed", failure.words, failure);
    else this.#meter.become("ended", "the session has ended");
  }

  async #serve(): Promise<void> {
    const { endpoint, file, retry, maxMessage, resumeKeys, clock } = this.#options;
    // It may come from an attribute, and with 0 there would be no end of messages.
    if (maxMessage !== undefined) checkMaxMessage(maxMessage);
    const protocols = () => this.#protocols;
    const links = {
      get protocols() {
        return protocols();
      },
      retry,
      maxMessage,
      resumeKeys,
    };
    const owner: WebFileOwner = {
      signal: this.#ending.signal,
      filters: (next) => this.#filters(next),
      become: (state, line) => this.#meter.become(state, line),
      onWake: this.#wakes.on,
      clock,
      open: (url, asked) => {
        this.#socket = openWebSocket(url, asked);
        return this.#socket;
      },
      onnote: (line) => this.#meter.note(line),
    };
    if (isWebFile(file)) await serveWebFile(endpoint, file, links, owner);
    else await serveBlob(endpoint, file, links, owner);
  }

  #filters(read: Export): Export {
    const { cache: budget } = this.#options;
    const file = lateFaults(read);
    if (budget < LEAST_BUDGET) return this.#meter.over(file, undefined);
    const cache = new ReadCache(file, { budget });
    return this.#meter.over(windowsIn(cache, budget), cache);
  }
}

function failureOf(error: unknown): Failure {
  const words = messageOf(error);
  return error instanceof WebSocketError ? { words, code: error.code, reason: error.reason } : { words };
}
